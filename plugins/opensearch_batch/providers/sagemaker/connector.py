"""The connector of a container on an endpoint and of its transform jobs, and what a spec says of the jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.request_body import members


class JobSettings(BaseModel):
    """`model.job` of a spec. Machines and their number are the price; `rows_per_file` bounds the cost of a bad row."""

    model_config = ConfigDict(extra="forbid")

    files_uri: s3_layout.FilesUri
    instance_type: str = Field(
        pattern=r"^ml\.[a-z0-9.-]+$", examples=["ml.g5.xlarge"], description="The machines, e.g. ml.g5.xlarge."
    )
    instance_count: int = Field(1, ge=1, description="Number of machines.")
    endpoint_name: str | None = Field(None, description="Endpoint that answers searches; default: the model's name.")
    rows_per_file: int = Field(100, ge=1, description="Rows a file of the job: as many a bad row may take with it.")
    batch_strategy: Literal["SingleRecord", "MultiRecord"] = Field(
        "SingleRecord",
        description="MultiRecord sends several lines in one request; the container has to take JSON Lines.",
    )
    max_payload_mb: int | None = Field(None, ge=0, le=100, description="Default: SageMaker's.")
    max_concurrent_transforms: int | None = Field(None, ge=0, description="Default: SageMaker's.")
    region: str | None = Field(None, description="Default: the connection's region_name.")


def connector(
    name: str,
    model: str,
    endpoint: str,
    parameters: Mapping[str, Any],
    base_url: str,
    job: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The documentation's blueprint, but for the three parameters of a single job, filled in by the submission.

    The record goes to the container without the id (InputFilter), and comes back joined to the id.
    """
    settings = JobSettings.model_construct(**(job or {}))  # with the defaults; a spec has checked it
    api, runtime = _hosts(base_url, str(settings.region))
    headers = {"content-type": "application/json"}
    fixed = members(parameters)
    limits = {
        "MaxPayloadInMB": settings.max_payload_mb,
        "MaxConcurrentTransforms": settings.max_concurrent_transforms,
    }
    more = "".join(f', "{key}": {value}' for key, value in limits.items() if value is not None)
    named = '{ "TransformJobName": "${parameters.TransformJobName}" }'

    def action(kind: str, url: str, body: str, **functions: str) -> dict[str, Any]:
        return {
            "action_type": kind,
            "method": "POST",
            "url": url,
            "headers": headers,
            "request_body": body,
            **functions,
        }

    return {
        "name": name,
        "version": "1",
        "protocol": "aws_sigv4",
        "parameters": {
            "region": settings.region,
            "service_name": "sagemaker",
            "ModelName": model,
            "BatchStrategy": settings.batch_strategy,
            "DataProcessing": {
                "InputFilter": "$.input",
                "OutputFilter": "$['id','SageMakerOutput']",
                "JoinSource": "Input",
            },
            "TransformResources": {
                "InstanceType": settings.instance_type,
                "InstanceCount": settings.instance_count,
            },
        },
        "client_config": {"connection_timeout": 30, "read_timeout": 60, "max_retry_times": 0},
        "actions": [
            action(
                "predict",
                f"{runtime}/endpoints/{settings.endpoint_name or model}/invocations",
                f'{{ "inputs": ${{parameters.input}}{fixed} }}',
                pre_process_function="connector.pre_process.default.embedding",
                post_process_function="connector.post_process.default.embedding",
            ),
            action(
                "batch_predict",
                f"{api}/CreateTransformJob",
                '{ "TransformJobName": "${parameters.TransformJobName}", "ModelName": "${parameters.ModelName}", '
                '"BatchStrategy": "${parameters.BatchStrategy}", "DataProcessing": ${parameters.DataProcessing}, '
                '"TransformInput": ${parameters.TransformInput}, "TransformOutput": ${parameters.TransformOutput}, '
                f'"TransformResources": ${{parameters.TransformResources}}{more} }}',
            ),
            action("batch_predict_status", f"{api}/DescribeTransformJob", named),
            action("cancel_batch_predict", f"{api}/StopTransformJob", named),
        ],
    }


def moved(url: str, base_url: str) -> str:
    match = re.match(r"https://(api|runtime)\.sagemaker\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?(/.*)", url)
    if not match or not base_url:
        return url
    return f"{base_url}/{'sagemaker' if match[1] == 'api' else 'sagemaker-runtime'}{match[2]}"


def _hosts(base_url: str, region: str) -> tuple[str, str]:
    if base_url:
        return f"{base_url}/sagemaker", f"{base_url}/sagemaker-runtime"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://api.sagemaker.{region}.{domain}", f"https://runtime.sagemaker.{region}.{domain}"
