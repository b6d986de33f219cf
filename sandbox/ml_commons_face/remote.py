"""The call a connector makes: a real HTTP request within this machine, and its answer in ML Commons' words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sandbox.ml_commons_face import sigv4, targets, template
from sandbox.ml_commons_face.errors import OpenSearchError, illegal_argument, status_exception

if TYPE_CHECKING:
    from sandbox.box import Box
    from sandbox.ml_commons_face.connector import Action, Connector

# Seconds when client_config names none: 30 since 3.6, before that 30,000 by a confusion of units.
READ_TIMEOUT = {"2.19.6": 30_000.0, "3.6.0": 30.0}
# A throttled call comes as 400 from SageMaker; the plugin tells it by this header, whatever the body.
AWS_ERROR = "x-amzn-ErrorType"
THROTTLED = (
    "Error from remote service: The request was denied due to remote server throttling. "
    "To change the retry policy and behavior, please update the connector client_config."
)
NO_TRUSTED_ENDPOINTS = (
    "Trusted connector endpoints regex is not configured. "
    "Please set plugins.ml_commons.trusted_connector_endpoints_regex."
)
# The column is that of the recorded text, whatever the text.
GSON_TROUBLE = (
    "Use JsonReader.setStrictness(Strictness.LENIENT) to accept malformed JSON at line 1 column 6 path $\n"
    "See https://github.com/google/gson/blob/main/Troubleshooting.md#malformed-json"
)
CONNECTION_CLOSED = (
    "The connection was closed during the request. The request will usually succeed on a retry, but if it does not: "
    "consider disabling any proxies you have configured, enabling debug logging, or performing a TCP dump to identify "
    "the root cause. If this is a streaming operation, validate that data is being read or written in a timely manner."
)


@dataclass(frozen=True)
class Reply:
    status: int
    content: Any


class Remote:
    def __init__(self, box: Box) -> None:
        self._box = box
        # One connection a call: a kept one would turn a provider's restart into an error no real server shows.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(
        self,
        connector: Connector,
        action: Action,
        header_templates: dict[str, str],
        parameters: dict[str, str],
        *,
        private_ip_enabled: bool | None = None,
    ) -> Reply:
        """One request, never repeated. Raises OpenSearchError for anything but a 2xx with JSON in it.

        `private_ip_enabled` is the setting as the caller knows it; None for status and cancel, which real servers carry
        out without settings: without this one, and since 3.7 without the list of trusted endpoints too.
        """
        body = self._body(action, parameters)
        if private_ip_enabled is None and self._box.forgets_trusted_endpoints:
            raise illegal_argument(NO_TRUSTED_ENDPOINTS)
        url = template.address(action.url, parameters, is_3x=self._box.is_3x)
        await self._check_target(url, bool(private_ip_enabled))
        headers = template.headers(header_templates, connector.credential)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        if connector.protocol == sigv4.PROTOCOL:
            raw = (body or "").encode("utf-8", "surrogatepass")
            headers = sigv4.signed(connector, action.method, url, headers, raw, is_3x=self._box.is_3x)
        response = await self._send(connector, action, url, headers, body)
        return self._read(action, response)

    def _body(self, action: Action, parameters: dict[str, str]) -> str | None:
        if action.request_body is not None:
            filled = template.payload(action.request_body, parameters)
            # 3.x sends the body of a status read along with the GET, 2.x leaves it out.
            return None if action.method == "GET" and not self._box.is_3x else filled
        text = parameters.get("http_body")
        if text is None and action.method != "GET" and action.type != "CANCEL_BATCH_PREDICT":
            raise illegal_argument("Content length is 0. Aborting request to remote model")
        return text

    async def _check_target(self, url: str, private_ip_enabled: bool) -> None:
        host = urlsplit(url).hostname or ""
        if not await targets.is_allowed(host, self._box.host):
            own = "" if targets.is_loopback(self._box.host) else f" and its own ({self._box.host})"
            raise illegal_argument(f"The sandbox calls loopback addresses{own} only and did not call {url}")
        if not self._box.private_ip_refused or private_ip_enabled or host in self._box.public_names:
            return
        if targets.is_private(host):
            reason = f"Remote inference host name has private ip address: {host}"
            raise illegal_argument(reason, (("illegal_argument_exception", reason),) if self._box.is_3x else ())

    async def _send(
        self, connector: Connector, action: Action, url: str, headers: dict[str, str], body: str | None
    ) -> httpx.Response:
        config = connector.client_config
        timeout = httpx.Timeout(
            float(config.get("read_timeout", READ_TIMEOUT[self._box.release])),
            connect=float(config.get("connection_timeout", READ_TIMEOUT[self._box.release])),
        )
        content = None if body is None else body.encode("utf-8", "surrogatepass")
        try:
            request = self._client.build_request(action.method, url, headers=headers, content=content, timeout=timeout)
            # Real servers send none.
            request.headers.pop("User-Agent", None)
            return await self._client.send(request)
        except httpx.ConnectError:
            parts = urlsplit(url)
            raise _lost(f"Connection refused: /{parts.hostname}:{parts.port or 80}") from None
        except httpx.ConnectTimeout:
            raise _lost(f"connection timed out: {urlsplit(url).netloc}") from None
        except httpx.TimeoutException:
            raise _lost("Read timed out") from None
        except httpx.TransportError:
            raise _lost(CONNECTION_CLOSED) from None

    def _read(self, action: Action, response: httpx.Response) -> Reply:
        text = response.text
        if response.status_code >= 300 and response.headers.get(AWS_ERROR, "").startswith("ThrottlingException"):
            raise status_exception(response.status_code, THROTTLED)
        if response.status_code >= 300 and text:
            raise status_exception(response.status_code, f"Error from remote service: {text}")
        if action.type == "CANCEL_BATCH_PREDICT" and response.status_code < 300:
            return Reply(response.status_code, None)
        if not text:
            raise self._empty(response.status_code)
        try:
            content = json.loads(text)
        except ValueError:
            raise self._garbage(action, text) from None
        return Reply(response.status_code, content if self._box.is_3x else with_floats(content))

    def _empty(self, status: int) -> OpenSearchError:
        if not self._box.is_3x:
            return status_exception(400, "No response from model")
        if status >= 300:
            return status_exception(status, f"Remote service returned error status {status} with empty body")
        return status_exception(502, "Remote service returned empty response body")

    def _garbage(self, action: Action, text: str) -> OpenSearchError:
        if not self._box.is_3x:
            causes = (
                ("json_syntax_exception", f"com.google.gson.stream.MalformedJsonException: {GSON_TROUBLE}"),
                ("malformed_json_exception", GSON_TROUBLE),
            )
            return OpenSearchError(
                500, "m_l_exception", f"Fail to execute {action.type} in aws connector", cause=causes
            )
        token = text.split()[0] if text.split() else ""
        trouble = (
            f"Unrecognized token '{token}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' "
            "or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
            "line: 1, column: 1]"
        )
        return illegal_argument(f"Invalid JSON format: {trouble}", (("json_parse_exception", trouble),))


def with_floats(value: Any) -> Any:
    """2.x reads every JSON number as a double, and so stores and shows it."""
    if isinstance(value, dict):
        return {key: with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _lost(why: str) -> OpenSearchError:
    return status_exception(500, f"Error communicating with remote model: {why}")
