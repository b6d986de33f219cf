"""A stored connector read for use: its actions, and the defaults ML Commons adds for the providers it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.ml_commons_face.errors import OpenSearchError, illegal_argument
from sandbox.ml_commons_face.template import as_text, fill

# In the order of ConnectorAction.getRemoteServerFromURL, https://github.com/opensearch-project/ml-commons
KNOWN_PROVIDERS = ("sagemaker", "openai", "bedrock", "cohere")
BY_TRANSFORM_JOB_NAME = '{ "TransformJobName" : "${parameters.TransformJobName}"}'
UNCONFIGURED = {
    "BATCH_PREDICT_STATUS": "Please configure the action type to get the batch job details in the connector",
    "CANCEL_BATCH_PREDICT": "Please configure the action type to cancel the batch job in the connector",
}


@dataclass(frozen=True)
class Action:
    type: str
    method: str
    url: str
    headers: dict[str, str]
    request_body: str | None
    pre_process_function: str | None = None
    post_process_function: str | None = None


@dataclass(frozen=True)
class Connector:
    parameters: dict[str, str]
    credential: dict[str, str]
    actions: tuple[Action, ...]
    client_config: dict[str, Any]
    protocol: str = "http"

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Connector:
        actions = tuple(
            Action(
                type=action["action_type"],
                method=action["method"].upper(),
                url=action["url"],
                headers=action.get("headers") or {},
                request_body=action.get("request_body"),
                pre_process_function=action.get("pre_process_function"),
                post_process_function=action.get("post_process_function"),
            )
            for action in body.get("actions") or []
        )
        parameters = {key: as_text(value) for key, value in (body.get("parameters") or {}).items()}
        credential = {key: str(value) for key, value in (body.get("credential") or {}).items()}
        return cls(parameters, credential, actions, body.get("client_config") or {}, body.get("protocol") or "http")

    def find(self, type: str) -> Action | None:
        return next((action for action in self.actions if action.type == type), None)

    def action(self, type: str) -> Action:
        found = self.find(type)
        if found is None:
            raise illegal_argument(f"no {type} action found")
        return found

    def predict_headers(self) -> dict[str, str]:
        """What `_predict`, `_batch_predict` and a status read send, whatever their own actions say."""
        predict = self.find("PREDICT")
        return predict.headers if predict else {}

    def follow_up(self, type: str) -> Action:
        """The status or cancel action: the connector's own if it has a request_body, else one by the provider's URL."""
        own = self.find(type)
        if own is not None and own.request_body is not None:
            return own
        submit = self.action("BATCH_PREDICT")
        url = fill(submit.url, self.parameters)
        provider = next((name for name in KNOWN_PROVIDERS if name in url), None)
        if provider is None:
            raise OpenSearchError(500, "unsupported_operation_exception", UNCONFIGURED[type])
        if own is not None:
            return own
        is_cancel = type == "CANCEL_BATCH_PREDICT"
        if provider == "sagemaker":
            operation = "StopTransformJob" if is_cancel else "DescribeTransformJob"
            url = url.replace("CreateTransformJob", operation)
            return Action(type, "POST", url, submit.headers, BY_TRANSFORM_JOB_NAME)
        if provider == "bedrock":
            url += "/${parameters.processedJobArn}"
            return Action(type, "POST" if is_cancel else "GET", url + "/stop" * is_cancel, submit.headers, None)
        url += "/${parameters.id}"
        if is_cancel:
            return Action(type, "POST", f"{url}/cancel", submit.headers, None)
        return Action(type, "GET", url, submit.headers, None)
