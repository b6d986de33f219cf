"""MLCommonsHook: an Airflow connection of type http or opensearch as a way to send Calls, from a worker or from a
trigger.

Imports requests and aiohttp: import this module inside functions, never from a DAG file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import requests
import tenacity
from airflow.providers.common.compat.connection import get_async_extra_dejson
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook
from airflow.sdk import Connection

from opensearch_batch.cluster.ml_commons import REPEAT_SECONDS, Call
from opensearch_batch.cluster.replies import lost, read_reply
from opensearch_batch.cluster.sigv4 import Signer
from opensearch_batch.cluster.tls import check_file, context
from opensearch_batch.errors import NoRoute, NotTaken, Terminal, Transient

log = logging.getLogger(__name__)

OWN_OPTIONS = ("sigv4", "region", "service", "allow_plain_http", "use_ssl", "verify_certs", "backend_roles")
"""Keys of the connection's extra that are ours: HttpHook would send them as headers."""

MAX_REPEATS = 100
"""Of a call that one node did not take. A cluster's nodes take a submission in turn, so it needs as many as nodes."""

SendAsync = Callable[[Call], Awaitable[Any]]


class MLCommonsHook(HttpHook):
    """Sends Calls over the session of HttpHook.get_conn(), and reads the error body, which HttpHook.run would log and
    lose.

    Extra of the connection, besides HttpHook's own (verify, cert, proxies, timeout, …): `sigv4` with `region` and
    `service` ("es", or "aoss" for serverless) signs with the AWS credentials of the environment;
    `allow_plain_http` lets a password or a key travel over http to another machine; `backend_roles` (a list) shares
    what is made here with those backend roles, on a cluster with access control. Type opensearch: `use_ssl`,
    `verify_certs` (true unless it says otherwise). Calls that only read are tried four times over about four
    seconds; all others once, their task's retries do the rest. What one node did not take (NotTaken) is sent again at
    once, for up to a minute, until another one takes it; looks are not, because the provider can be asked instead.
    """

    def __init__(self, opensearch_conn_id: str = "opensearch_default") -> None:
        super().__init__(http_conn_id=opensearch_conn_id)
        self._session: requests.Session | None = None
        self._options: dict[str, Any] = {}
        self._signer: Signer | None = None
        self._told: set[str] = set()

    def get_connection(self, conn_id: str) -> Connection:  # type: ignore[override]
        connection = super().get_connection(conn_id)
        self._options = connection.extra_dejson
        return _without_own_options(connection, self._options)

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        if self._session is None:
            session = super().get_conn(headers, extra_options)
            check_file(session.verify)
            self._session = session
        return self._session

    def send(self, call: Call) -> Any:
        """Raise Transient or Terminal as replies.RULES say."""
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
        refuse_plain_http(self.base_url, self._options, secret=call.carries_secret or session.auth is not None)
        body, headers = _encode(shared(call, self._options))
        url = self.base_url + call.path
        self._signer = self._signer or Signer.from_options(self._options, has_login=session.auth is not None)
        if self._signer:
            headers |= self._signer.headers(call.method, url, body)
        timeout = (10, float(self.merged_extra.get("timeout") or call.timeout_seconds))
        try:
            # Said again for this call, because REQUESTS_CA_BUNDLE would win over the session's own.
            response = session.request(
                call.method,
                url,
                data=body or None,
                headers=headers,
                timeout=timeout,
                stream=False,
                verify=session.verify,
                auth=_as_signed if self._signer else None,
            )
        except requests.RequestException as error:
            raise lost(
                call, error, sent=not isinstance(error, requests.ConnectTimeout) and not _never_connected(error)
            ) from None
        return read_reply(call, response.status_code, response.text, response.headers)


class MLCommonsAsyncHook(HttpAsyncHook):
    """The trigger's side: reads the same connection without blocking the event loop."""

    def __init__(self, opensearch_conn_id: str = "opensearch_default") -> None:
        super().__init__(http_conn_id=opensearch_conn_id)
        self.options: dict[str, Any] = {}

    async def aget_connection(self, conn_id: str) -> Connection:  # type: ignore[override]
        connection = await super().aget_connection(conn_id)
        self.options = await get_async_extra_dejson(connection)
        return _without_own_options(connection, self.options)

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[SendAsync]:
        """A function that sends one Call once, raising as MLCommonsHook.send does; repeating is the caller's.

        Raise SpecError for a CA bundle that is not on this machine.
        """
        config = await self.config()
        extra = config.extra_options or {}
        auth = (config.auth.login, config.auth.password) if config.auth else None
        refuse_plain_http(config.base_url, self.options, secret=auth is not None)
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
    """The call with who else may use what it makes; a body that says so itself is left alone. Without a word of it
    that is its maker: https://docs.opensearch.org/latest/ml-commons-plugin/model-access-control/
    """
    roles, body = options.get("backend_roles"), call.body or {}
    if not roles or not call.makes_owned or "access_mode" in body:
        return call
    return replace(call, body={**body, "access_mode": "restricted", "backend_roles": list(roles)})


def refuse_plain_http(base_url: str, options: dict[str, Any], *, secret: bool) -> None:
    """Raise Terminal before a password or key would cross a network unencrypted."""
    url = urlsplit(base_url)
    if (
        secret
        and url.scheme == "http"
        and url.hostname not in ("127.0.0.1", "localhost", "::1")
        and not options.get("allow_plain_http")
    ):
        raise Terminal(
            f"{base_url} is plain http, and a password or key would travel to it. Use https, or set "
            '"allow_plain_http": true in the extra of the connection if that network is yours.'
        )


def _without_own_options(connection: Connection, extra: dict[str, Any]) -> Connection:
    """A copy that HttpHook understands, whatever the connection's type."""
    kept = {key: value for key, value in extra.items() if key not in OWN_OPTIONS}
    schema, port = connection.schema, connection.port
    if connection.conn_type == "opensearch":
        schema, port = "https" if extra.get("use_ssl") else "http", port or 9200
        kept.setdefault("verify", bool(extra.get("verify_certs", True)))
    return Connection(
        conn_id=connection.conn_id,
        conn_type=connection.conn_type,
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=schema,
        port=port,
        extra=orjson.dumps(kept).decode() if kept else None,
    )


def _encode(call: Call) -> tuple[bytes, dict[str, str]]:
    if call.body is None:
        return b"", {}
    return orjson.dumps(call.body), {"Content-Type": "application/json"}


def _as_signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from putting a login of ~/.netrc in the signature's place."""
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
    """requests raises ConnectionError both for a refused connection and for one that was cut in the middle of an
    answer.
    """
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


def _proxy(extra: dict[str, Any]) -> str | None:
    proxy = extra.get("proxy")
    return next(iter(proxy.values()), None) if isinstance(proxy, dict) else proxy
