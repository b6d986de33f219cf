"""The pre- and post-process functions that embedding takes, and Bedrock's for a job's ARN; others are refused.

Read from MLPreProcessFunction and MLPostProcessFunction, https://github.com/opensearch-project/ml-commons. Those of
OpenAI and the job's ARN were compared with real servers; Bedrock's, Cohere's and the default ones (SageMaker) were not.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.ml_commons_face.errors import illegal_argument, not_served

PRE, POST = "connector.pre_process.", "connector.post_process."
BATCH_JOB_ARN = f"{POST}bedrock.batch_job_arn"
TITAN_DIMENSIONS = 1024


def before(name: str | None, text_docs: Any, parameters: dict[str, str]) -> dict[str, str]:
    """Parameters made from `text_docs`."""
    if name is None:
        raise illegal_argument("Must provide pre_process_function for predict action to process text docs input.")
    match name.removeprefix(PRE):
        case "openai.embedding" | "default.embedding":
            return {"input": json.dumps(text_docs)}
        case "cohere.embedding":
            return {"texts": json.dumps(text_docs)}
        case "bedrock.embedding":
            return _titan(text_docs, parameters)
    raise not_served(f"the pre-process function {name}")


def after(name: str | None, content: Any) -> list[dict[str, Any]]:
    """The `output` of an inference result."""
    if name is None:
        held = content if isinstance(content, dict) else {"response": content}
        return [{"name": "response", "dataAsMap": held}]
    match name.removeprefix(POST):
        case "openai.embedding":
            return _tensors([row["embedding"] for row in content["data"]])
        case "cohere.embedding":
            return _tensors(content["embeddings"])
        case "bedrock.embedding":
            return _tensors([content["embedding"]])
        case "default.embedding":
            return _tensors(content)
    raise not_served(f"the post-process function {name}")


def with_job_arn(content: Any) -> Any:
    """`processedJobArn` beside `jobArn`: the one that can stand in a path."""
    if not isinstance(content, dict):
        raise illegal_argument("Post process function input is not a Map.")
    if "jobArn" not in content:
        raise illegal_argument("job arn is missing.")
    return content | {"processedJobArn": str(content["jobArn"]).replace("/", "%2F")}


def _titan(text_docs: Any, parameters: dict[str, str]) -> dict[str, str]:
    """Titan takes one text a call; the plugin sends the first and forgets the others, so more than one is refused."""
    if len(text_docs) > 1:
        raise not_served("more than one text in a call of Bedrock's embedding function")
    given = parameters.get("dimensions", "")
    dimensions = given if given.isdigit() else str(TITAN_DIMENSIONS)
    return {"inputText": json.dumps(text_docs[0])[1:-1], "dimensions": dimensions}


def _tensors(vectors: list[list[float]]) -> list[dict[str, Any]]:
    return [
        {"name": "sentence_embedding", "data_type": "FLOAT32", "shape": [len(vector)], "data": vector}
        for vector in vectors
    ]
