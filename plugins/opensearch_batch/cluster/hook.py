"""MLCommonsHook and MLCommonsAsyncHook: send Calls over an Airflow connection, from a worker or from a trigger.

The connection's type is opensearch_ml, http or opensearch. The module imports requests and aiohttp: import the module
inside functions, never from a DAG file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import requests
import tenacity
from airflow.providers.common.compat.connection import get_async_extra_dejson
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook

from opensearch_batch.cluster.address import OWN_TYPE, as_http, filled, refuse_plain_http
from opensearch_batch.cluster.ml_commons import REPEAT_SECONDS, Call, search_open_tasks
from opensearch_batch.cluster.replies import lost, read_reply
from opensearch_batch.cluster.sigv4 import Signer
from opensearch_batch.cluster.tls import check_file, context
from opensearch_batch.errors import BatchError, NoRoute, NotTaken, Transient
from opensearch_batch.scrubbing import names_a_secret, remember_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger(__name__)

MAX_REPEATS = 100
"""Most repetitions of a call not taken by a node. Nodes receive submissions in turn, so a submission needs as many
repetitions as the cluster has nodes.
"""

SendAsync = Callable[[Call], Awaitable[Any]]


class MLCommonsHook(HttpHook):
    """Send Calls over the session of HttpHook.get_conn(), and read error bodies, which HttpHook.run logs and loses.

    Keys of the connection's extra, besides HttpHook's (verify, cert, proxies, timeout, …):

    - `sigv4` with `region` and `service` ("es", or "aoss" for serverless) signs with the environment's AWS credentials.
    - `allow_plain_http` lets a password or a key travel over http to a second machine.
    - `backend_roles` (a list) shares created objects with the roles, on a cluster with access control.
    - Type opensearch: `use_ssl`; `verify_certs`, true by default.
    - Type opensearch_ml (the form is in provider_info.py): `verify_certs`, `ca_file`.

    Where nothing says the scheme: https, but http to this machine (opensearch_ml: https too). Redirects are errors:
    requests would send keys in headers of the extra, and the body, to another host.

    A call with the purpose `read` is tried four times over about four seconds, any different call once, with the task's
    retries for the rest. A call not taken by a node (NotTaken) is sent again within half a second, for up to a minute,
    until a node takes the call; a `look` is not, because the provider can be asked instead.
    """

    conn_name_attr = "opensearch_conn_id"
    default_conn_name = "opensearch_default"
    conn_type = OWN_TYPE
    hook_name = "OpenSearch ML Commons"

    def __init__(self, opensearch_conn_id: str = default_conn_name) -> None:
        super().__init__(http_conn_id=opensearch_conn_id)
        self._session: requests.Session | None = None
        self._options: dict[str, Any] = {}
        self._signer: Signer | None = None
        self._told: set[str] = set()

    def get_connection(self, conn_id: str) -> Connection:  # type: ignore[override]
        connection = super().get_connection(conn_id)
        remember_connection(connection)
        self._options = filled(connection.extra_dejson)
        return as_http(connection, self._options)

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        if self._session is None:
            session = super().get_conn(headers, extra_options)
            check_file(session.verify)
            self._session = session
        return self._session

    def send(self, call: Call) -> Any:
        """Send a call; return the parsed reply. Raise Transient or Terminal as replies.RULES say."""
        try:
            if call.purpose == "look":
                return self._send_once(call)
            if call.purpose == "read":
                return _few_times(lambda: self._until_taken(call))
            return self._until_taken(call)
        except NoRoute:
            if call.otherwise is None:
                raise
            return self.send(call.otherwise)

    def test_connection(self) -> tuple[bool, str]:
        """Airflow's Test button: a read that the least role may do, and that asks no provider."""
        try:
            open_tasks = self.send(search_open_tasks())
        except BatchError as error:
            return False, str(error)
        return True, f"{self.base_url} answers; it counts {len(open_tasks)} open batch tasks that this user may see."

    def _shows_who(self, session: requests.Session) -> bool:
        """Whether each request carries a password, or a key in a header."""
        return session.auth is not None or names_a_secret(self._options)

    def _until_taken(self, call: Call) -> Any:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotTaken),
            stop=tenacity.stop_after_attempt(1 + MAX_REPEATS) | tenacity.stop_after_delay(REPEAT_SECONDS),
            wait=tenacity.wait_random(0.1, 0.5),
            before_sleep=self._say_once,
            reraise=True,
        )
        return retrying(self._send_once, call)

    def _say_once(self, state: tenacity.RetryCallState) -> None:
        error = str(state.outcome.exception() if state.outcome else "")
        if error not in self._told:
            self._told.add(error)
            log.warning("%s Nothing was sent on; asking again until a node takes it.", error)

    def _send_once(self, call: Call) -> Any:
        session = self.get_conn()
        refuse_plain_http(self.base_url, self._options, secret=call.carries_secret or self._shows_who(session))
        body, headers = _encode(shared(call, self._options))
        url = self.base_url + call.path
        self._signer = self._signer or Signer.from_options(self._options, has_login=session.auth is not None)
        if self._signer:
            headers |= self._signer.headers(call.method, url, body)
        timeout = (10, float(self.merged_extra.get("timeout") or call.timeout_seconds))
        try:
            # `verify` is given again, because REQUESTS_CA_BUNDLE would win over the session's own value.
            response = session.request(
                call.method,
                url,
                data=body or None,
                headers=headers,
                timeout=timeout,
                stream=False,
                allow_redirects=False,
                verify=session.verify,
                auth=_as_signed if self._signer else None,
            )
        except requests.RequestException as error:
            raise lost(
                call, error, sent=not isinstance(error, requests.ConnectTimeout) and not _never_connected(error)
            ) from None
        return read_reply(call, response.status_code, response.text, response.headers)


class MLCommonsAsyncHook(HttpAsyncHook):
    """Send Calls from a trigger: read the same connection without blocking the event loop."""

    def __init__(self, opensearch_conn_id: str = "opensearch_default") -> None:
        super().__init__(http_conn_id=opensearch_conn_id)
        self.options: dict[str, Any] = {}

    async def aget_connection(self, conn_id: str) -> Connection:  # type: ignore[override]
        connection = await super().aget_connection(conn_id)
        remember_connection(connection)
        self.options = filled(await get_async_extra_dejson(connection))
        return as_http(connection, self.options)

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[SendAsync]:
        """Yield a function that sends a Call once and raises like MLCommonsHook.send; the caller repeats.

        Raise SpecError for a CA bundle that is absent from the machine.
        """
        config = await self.config()
        extra = config.extra_options or {}
        auth = (config.auth.login, config.auth.password) if config.auth else None
        refuse_plain_http(config.base_url, self.options, secret=auth is not None or names_a_secret(self.options))
        signer = Signer.from_options(self.options, has_login=auth is not None)
        verify = context(extra.get("verify_ssl", True), extra.get("cert"))
        async with httpx.AsyncClient(
            base_url=config.base_url, headers=config.headers, auth=auth, verify=verify, proxy=_proxy(extra)
        ) as client:

            async def send(call: Call) -> Any:
                try:
                    return await send_once(call)
                except NoRoute:
                    if call.otherwise is None:
                        raise
                    return await send_once(call.otherwise)

            async def send_once(call: Call) -> Any:
                body, headers = _encode(call)
                if signer:
                    headers |= await asyncio.to_thread(signer.headers, call.method, config.base_url + call.path, body)
                try:
                    response = await client.request(
                        call.method, call.path, content=body or None, headers=headers, timeout=call.timeout_seconds
                    )
                except httpx.HTTPError as error:
                    raise lost(
                        call, error, sent=not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                    ) from None
                return read_reply(call, response.status_code, response.text, response.headers)

            yield send


def shared(call: Call, options: dict[str, Any]) -> Call:
    """Return the call with the connection's backend roles, to share the created object with; a body with `access_mode`
    stays unchanged.

    Without roles only the creator may use the object:
    https://docs.opensearch.org/latest/ml-commons-plugin/model-access-control/
    """
    roles, body = options.get("backend_roles"), call.body or {}
    if not roles or not call.makes_owned or "access_mode" in body:
        return call
    return replace(call, body={**body, "access_mode": "restricted", "backend_roles": list(roles)})


def _encode(call: Call) -> tuple[bytes, dict[str, str]]:
    if call.lines is not None:
        return call.lines, {"Content-Type": "application/x-ndjson"}
    if call.body is None:
        return b"", {}
    return orjson.dumps(call.body), {"Content-Type": "application/json"}


def _as_signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request unchanged, so that requests puts no login of ~/.netrc in the signature's place."""
    return request


def _few_times(send: Callable[[], Any]) -> Any:
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, Transient) and not isinstance(e, NotTaken)),
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=0.5, max=5),
        reraise=True,
    )
    return retrying(send)


def _never_connected(error: requests.RequestException) -> bool:
    """Return whether the connection itself failed: requests raises ConnectionError for a refused connection and for a
    connection cut in the middle of a reply.
    """
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


def _proxy(extra: dict[str, Any]) -> str | None:
    proxy = extra.get("proxy")
    return next(iter(proxy.values()), None) if isinstance(proxy, dict) else proxy
