"""Dataset: a place of rows under the name that OpenLineage's rules give it, with the counts of one step."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from opensearch_batch.storage.address import LOCAL

DatasetType = Literal["", "MODEL", "JOB_OUTPUT"]
"""Of OpenLineage's facet `datasetType`, in OpenLineage's words; "" where nothing need be said."""

AddressOf = Callable[[str], str]
"""Host and port of the cluster behind a connection's id, e.g. `search.example.com:9200`."""

INDEX = "opensearch"
OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
"""Schemes under which Airflow's storages know what OpenLineage has one name for."""

GLOB = re.compile(r"[*?\[]")


class Dataset(NamedTuple):
    """`rows`, `bytes` and `files` are what one step has read or written; None where nobody has counted."""

    namespace: str
    name: str
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None
    kind: DatasetType = ""


def dataset_at(uri: str, address_of: AddressOf) -> Dataset | None:
    """Name the dataset at a URI, without counts; None without a URI, and for a database, whose tables only its query
    names.

    The rules are of https://openlineage.io/docs/spec/naming: `file` and the path, `s3://bucket` and the key. OpenSearch
    is not among them; its name follows their form for servers, `scheme://host:port` and the index. Of a glob the folder
    is named in which all matches lie. The connection in `s3://connection@bucket` is no part of a name.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    if scheme in ("", "sql"):
        return None
    if scheme == INDEX:
        return Dataset(f"{INDEX}://{address_of(authority)}", path)
    authority, path = authority.rpartition("@")[2], _folder(path)
    if scheme in LOCAL:
        return Dataset(f"file://{authority}" if authority else "file", f"/{path}")
    return Dataset(f"{OTHER_NAMES.get(scheme, scheme)}://{authority}", path or "/")


def _folder(path: str) -> str:
    glob = GLOB.search(path)
    return (path[: glob.start()].rpartition("/")[0] if glob else path).rstrip("/")
