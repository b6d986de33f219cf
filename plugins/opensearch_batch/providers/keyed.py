"""Vendors with a single key: the connection's password is the key, the connection's host the server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.credential import refuse_literal_credential, refuse_login_in

if TYPE_CHECKING:
    from airflow.sdk import Connection


class KeyedStore:
    """Base of stores made from a base URL and the key."""

    VERSION_PATH = "/v1"
    """Path added to a connection's host and port; a base URL names the path already."""

    def __init__(self, base_url: str, key: str) -> None: ...

    @classmethod
    def opened(cls, connection: Connection, default_url: str, job: Mapping[str, Any]) -> Self:
        return cls(cls.base_url(connection, default_url), password(connection))

    @classmethod
    def base_url(cls, connection: Connection, default_url: str) -> str:
        return base_url(connection, default_url, cls.VERSION_PATH)

    @classmethod
    def settings(cls, connection: Connection) -> dict[str, Any]:
        return {}

    @classmethod
    def require_libraries(cls) -> None: ...

    @classmethod
    def parameters(cls, model: str, endpoint: str) -> Collection[str]:
        return ()

    @classmethod
    def credential(cls, names: Mapping[str, Any], connection: Connection) -> dict[str, str]:
        return credential(names, connection)


def password(connection: Connection) -> str:
    if not connection.password:
        raise SpecError(f"connection {connection.conn_id!r} has no password; put the provider's key there")
    return connection.password


def credential(names: Mapping[str, Any], connection: Any) -> dict[str, str]:
    """The connector's credential from a connection. Raise SpecError for a key written into the body."""
    refuse_literal_credential(names)
    extra = connection.extra_dejson
    only = len(names) == 1
    found = {name: extra.get(name) or (connection.password if only else None) for name in names}
    if missing := [name for name, value in found.items() if not value]:
        where = "its password" if only else f"its extra: {', '.join(missing)}"
        raise SpecError(f"connection {connection.conn_id!r} lacks the provider's key; put it into {where}")
    return {name: str(value) for name, value in found.items()}


def base_url(connection: Connection, default: str, version_path: str = KeyedStore.VERSION_PATH) -> str:
    """Return the server's base URL: the connection's host, if a URL (with /v1) or one that lacks its scheme, else made
    from host and port; without a host `default`, the vendor's own. The scheme is https where nothing says another.

    Raise SpecError for a login in the host.
    """
    host = (connection.host or "").strip().rstrip("/")
    refuse_login_in(host, str(connection.conn_id))
    if not host:
        return default
    if "://" in host:
        return host
    scheme = connection.schema or "https"
    port = f":{connection.port}" if connection.port else ""
    name, slash, path = host.partition("/")
    return f"{scheme}://{name}{port}{slash}{path}" if slash else f"{scheme}://{name}{port}{version_path}"
