"""The person's own connections, read as Airflow reads them, and what of them must never be written down."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from live.masking import Mask, basic
from opensearch_batch.cluster.address import OWN_OPTIONS
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import store_class

if TYPE_CHECKING:
    from airflow.sdk import Connection

AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
KEY_SHAPES = (r"\bsk-[\w*-]{6,}", r"\b(?:org|proj)[-_]\w{6,}", r"\b(?:AKIA|ASIA)\w{12,}")
"""Keys and account ids as vendors print them into their error texts."""


@dataclass(frozen=True)
class Target:
    """`cluster` and `provider` are for people: scheme, host and port, no login."""

    opensearch_conn_id: str
    provider_conn: Connection
    cluster: str
    provider: str
    provider_url: str
    mask: Mask


def read_target(opensearch_conn_id: str, provider_conn_id: str, vendor: Provider) -> Target:
    """Nothing is sent. Raise AirflowNotFoundException for a connection that environment and secrets backend lack."""
    provider = BaseHook.get_connection(provider_conn_id)
    hook = MLCommonsHook(opensearch_conn_id)
    cluster = hook.get_connection(opensearch_conn_id)  # a login in its host is taken out
    hook.get_conn()
    provider_url = store_class(vendor).base_url(provider, vendor.BASE_URL)
    return Target(
        opensearch_conn_id=opensearch_conn_id,
        provider_conn=provider,
        cluster=_place(hook.base_url),
        provider=_place(provider_url),
        provider_url=provider_url,
        mask=_mask(cluster, provider, hook.base_url, provider_url),
    )


def _mask(cluster: Connection, provider: Connection, cluster_url: str, provider_url: str) -> Mask:
    secrets = [value for name in AWS_VARIABLES if (value := os.environ.get(name))]
    names = [(urlsplit(cluster_url).hostname or "", "<cluster>")]
    for connection, url in ((cluster, cluster_url), (provider, provider_url)):
        at = urlsplit(url)
        secrets += basic(connection.login, connection.password) + basic(at.username, at.password)
        secrets += [value for key, value in connection.extra_dejson.items() if _may_be_secret(key, value)]
        names += [(connection.login or "", "<login>")]
    return Mask(secrets, names, KEY_SHAPES)


def _may_be_secret(key: str, value: object) -> bool:
    """Whatever a person put into the extra, but for options and what is too short to be a key."""
    return isinstance(value, str) and len(value) >= 8 and key not in OWN_OPTIONS


def _place(url: str) -> str:
    at = urlsplit(url)
    return f"{at.scheme}://{at.hostname}" + (f":{at.port}" if at.port else "")
