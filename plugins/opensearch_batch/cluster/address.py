"""A connection's address and options as HttpHook understands them, whatever the connection's type: one URL as host, the
login apart, https for every machine but this one.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import orjson

from opensearch_batch.errors import SpecError, Terminal

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger(__name__)

OWN_TYPE = "opensearch_ml"
SCHEMES = ("https", "http")

OWN_OPTIONS = (
    "sigv4", "region", "service", "allow_plain_http", "use_ssl", "verify_certs", "ca_file", "backend_roles",
)  # fmt: skip
"""Keys of the connection's extra that are ours: HttpHook would send them as headers."""


def filled(extra: dict[str, Any]) -> dict[str, Any]:
    """Without the fields of Airflow's form that nobody wrote anything into: they come as null, or as empty."""
    given = {key: value for key, value in extra.items() if value is not None}
    return {key: value for key, value in given.items() if key not in OWN_OPTIONS or value not in ("", [])}


def as_http(connection: Connection, extra: dict[str, Any]) -> Connection:
    """Return a copy for HttpHook; `extra` is filled. A login in the host becomes the connection's.

    Raise SpecError for a host that is absent or no address, and for two logins; no error shows a password.
    """
    from airflow.sdk import Connection

    parts = _parts_of(connection)
    login, password = connection.login, connection.password
    if parts.username is not None:
        if login:
            raise SpecError(f"{_named(connection)} has a login, and its host has another one: take it out of the host")
        login, password = unquote(parts.username), unquote(parts.password or "")
    kept = {key: value for key, value in extra.items() if key not in OWN_OPTIONS}
    port = parts.port or connection.port
    if connection.conn_type == "opensearch":
        port = port or 9200
        kept.setdefault("verify", bool(extra.get("verify_certs", True)))
    if connection.conn_type == OWN_TYPE:
        kept.setdefault("verify", bool(extra.get("verify_certs", True)) and extra.get("ca_file", True))
    scheme = _scheme_of(connection, parts, extra)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    url = f"{scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    if scheme == "http" and not login and not is_loopback(parts.hostname) and not extra.get("allow_plain_http"):
        log.warning(
            "%s: plain http to %s, without a login: whoever is on the way can read and change what is sent. Use https, "
            'or say {"allow_plain_http": true} in its extra if that network is yours.', _named(connection), host,
        )  # fmt: skip
    return Connection(
        conn_id=connection.conn_id,
        conn_type=connection.conn_type,
        host=url,
        login=login,
        password=password,
        extra=orjson.dumps(kept).decode() if kept else None,
    )


def refuse_plain_http(base_url: str, options: dict[str, Any], *, secret: bool) -> None:
    """Raise Terminal before a password or key would cross a network unencrypted."""
    url = urlsplit(base_url)
    if secret and url.scheme == "http" and not is_loopback(url.hostname) and not options.get("allow_plain_http"):
        raise Terminal(
            f"{base_url} is plain http, and a password or key would travel to it. Use https, or set "
            '"allow_plain_http": true in the extra of the connection if that network is yours.'
        )


def is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _parts_of(connection: Connection) -> SplitResult:
    host = (connection.host or "").strip()
    bare = host.count(":") > 1 and not any(sign in host for sign in "/@[")
    try:
        parts = urlsplit(host if "://" in host else f"//[{host}]" if bare else f"//{host}")
        _ = parts.port
    except ValueError:  # its words show a part of the address, and a password may be in there
        raise SpecError(
            f"{_named(connection)}: its host is no address: a name, or a URL such as https://search.example.com:9200"
        ) from None
    if not parts.hostname:
        raise SpecError(f"{_named(connection)} has no host: name the cluster's")
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise SpecError(
            f"{_named(connection)}: the login in its host is not escaped, so nobody can tell where it ends: write %2F "
            "for /, %3F for ? and %23 for #, or give login and password in their own fields"
        )
    if parts.scheme not in ("", *SCHEMES):
        raise SpecError(f"{_named(connection)}: its host begins with {parts.scheme}://, and only https and http serve")
    return parts


def _scheme_of(connection: Connection, parts: SplitResult, extra: dict[str, Any]) -> str:
    """What the connection says; else http to this machine, and where plain http is allowed, and https elsewhere."""
    if parts.scheme:
        return parts.scheme
    if connection.conn_type == "opensearch" and "use_ssl" in extra:
        return "https" if extra["use_ssl"] else "http"
    if connection.schema in SCHEMES:
        return str(connection.schema)
    if connection.schema and connection.conn_type != "opensearch":  # whose schema means nothing
        raise SpecError(f"{_named(connection)} has the schema {connection.schema!r}, and only https and http serve")
    plain = is_loopback(parts.hostname) or extra.get("allow_plain_http")
    return "http" if plain and connection.conn_type != OWN_TYPE else "https"


def _named(connection: Connection) -> str:
    return f"connection {connection.conn_id!r}"
