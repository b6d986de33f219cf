"""The connector of a model and of its invocation jobs, and what a spec says of the jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.bedrock import models


class JobSettings(BaseModel):
    """`model.job` of a spec."""

    model_config = ConfigDict(extra="forbid")

    files_uri: s3_layout.FilesUri
    role_arn: str = Field(
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$",
        examples=["arn:aws:iam::123456789012:role/batches"],
        description="Service role that reads and writes there.",
    )
    timeout_hours: int | None = Field(None, ge=24, le=168, description="The job's own deadline. Default: 24.")
    region: str | None = Field(None, description="Default: the connection's region_name.")


def connector(
    name: str,
    model: str,
    endpoint: str,
    parameters: Mapping[str, Any],
    base_url: str,
    job: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """No status and no cancel action: ML Commons makes both for a URL with this vendor's name, from the ARN escaped by
    the post-process function (ConnectorUtils.createConnectorAction), and sends both without a body.
    """
    said = job or {}
    api, runtime = _hosts(base_url, str(said["region"]))
    headers = {"content-type": "application/json"}
    hours = f', "timeoutDurationInHours": {said["timeout_hours"]}' if said.get("timeout_hours") else ""
    return {
        "name": name,
        "version": "1",
        "protocol": "aws_sigv4",
        "parameters": {
            "region": said["region"],
            "service_name": "bedrock",
            "model": model,
            "roleArn": said["role_arn"],
            **models.online_defaults(model),
        },
        "client_config": {"connection_timeout": 30, "read_timeout": 60, "max_retry_times": 0},
        "actions": [
            {
                "action_type": "predict",
                "method": "POST",
                "url": f"{runtime}/model/{model}/invoke",
                "headers": headers,
                **models.online(model, parameters),
            },
            {
                "action_type": "batch_predict",
                "method": "POST",
                "url": f"{api}/model-invocation-job",
                "headers": headers,
                "request_body": '{ "jobName": "${parameters.jobName}", '
                '"clientRequestToken": "${parameters.clientRequestToken}", "modelId": "${parameters.model}", '
                '"roleArn": "${parameters.roleArn}", "inputDataConfig": ${parameters.inputDataConfig}, '
                f'"outputDataConfig": ${{parameters.outputDataConfig}}{hours} }}',
                "post_process_function": "connector.post_process.bedrock.batch_job_arn",
            },
        ],
    }


def moved(url: str, base_url: str) -> str:
    match = re.match(r"https://(bedrock|bedrock-runtime)\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?(/.*)", url)
    return f"{base_url}/{match[1]}{match[2]}" if match and base_url else url


def _hosts(base_url: str, region: str) -> tuple[str, str]:
    if base_url:
        return f"{base_url}/bedrock", f"{base_url}/bedrock-runtime"
    return f"https://bedrock.{region}.amazonaws.com", f"https://bedrock-runtime.{region}.amazonaws.com"
