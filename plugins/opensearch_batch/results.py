"""Results: the reader of a run's answers, whatever their format and storage. Example:

    from opensearch_batch import results

    found = results.open("s3://aws_default@corpus/embeddings/2026-01-31/manifest.json")
    for row in found:
        print(row["id"], len(row["embedding"]))

Connections are Airflow's, as for all URIs of this package; a task has them, and a shell through AIRFLOW_CONN_….
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import InputError
from opensearch_batch.extras import imported_from
from opensearch_batch.land.manifest import Manifest, ManifestFile, read_manifest
from opensearch_batch.storage import names_in, open_binary, read_lines, size_of

if TYPE_CHECKING:
    import pandas
    import pyarrow

PARQUET_ROWS = 256
"""Rows of Parquet in memory at once as Python values."""

JSON_ROWS = 2_000
"""Lines in memory at once on the way to an Arrow table."""


def open(manifest_uri: str) -> Results:
    """Return the results named by a manifest: `manifest.json` of an output, or the manifest of one run.

    The files are looked for beside the manifest, so a copied or mounted folder, and a connection of another id, serve
    as well. Raise InputError for an absent manifest, and where a file is gone or is no longer the run's.
    """
    folder = manifest_uri.rsplit("/", 1)[0]
    if size_of(manifest_uri) is None:
        raise InputError(f"{manifest_uri}: no such object{_runs_in(folder)}")
    manifest = read_manifest(manifest_uri)
    entries = [entry for entry in manifest.files if entry.kind == "results"]
    uris = [f"{folder}/{entry.uri.rsplit('/', 1)[-1]}" for entry in entries]
    for uri, entry in zip(uris, entries, strict=True):
        _refuse_another(uri, entry, manifest_uri)
    return Results(manifest, uris)


class Results:
    """The answered rows of one run: dicts of `id` and `embedding` or `output`, and the row's other fields. With an
    output schema `output` is an object in JSON Lines; Parquet has its properties as fields of the row.

    `len()` is the number of rows. Rows are in the order of the provider's answers.
    """

    def __init__(self, manifest: Manifest, uris: Sequence[str]) -> None:
        self.manifest = manifest
        self.uris = list(uris)

    def __len__(self) -> int:
        return self.manifest.report.answered

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield row by row, streamed: memory does not grow with the data."""
        for uri in self.uris:
            yield from _parquet_rows(uri) if _is_parquet(uri) else _json_rows(uri)

    @property
    def files(self) -> list[str]:
        """The files as polars, DuckDB and others name them: local paths, and s3:// addresses without a connection."""
        return [_without_airflow(uri) for uri in self.uris]

    def to_arrow(self) -> pyarrow.Table:
        """Return all rows as a pyarrow table, vectors in single precision. Raise SpecError without pyarrow."""
        with imported_from("parquet", "to_arrow"):
            import pyarrow
        tables = [table for uri in self.uris for table in _tables(uri)]
        if not tables:
            return pyarrow.table({"id": pyarrow.array([], pyarrow.string())})
        try:
            return pyarrow.concat_tables(tables, promote_options="permissive")
        except pyarrow.ArrowException as error:
            raise _no_table(self.uris[0], error) from error

    def to_pandas(self) -> pandas.DataFrame:
        """Return all rows as a pandas data frame. Raise SpecError without pandas."""
        with imported_from("pandas", "to_pandas"):
            import pandas  # noqa: F401
        return self.to_arrow().to_pandas()


def _refuse_another(uri: str, entry: ManifestFile, manifest_uri: str) -> None:
    if (found := size_of(uri)) != entry.bytes:
        is_now = "is gone" if found is None else f"has {found} bytes"
        raise InputError(
            f"{uri} {is_now}, and {manifest_uri} says {entry.bytes} bytes: a clean-up removed the file, or it "
            "was overwritten. Read the manifest of another run, or run the batch again"
        )


def _runs_in(folder: str) -> str:
    """Name the manifests there are, where no run was complete."""
    runs = [name for name in names_in(folder) if name.startswith("manifest-")]
    return f". No run there is complete yet; manifests of runs that are not: {', '.join(sorted(runs))}" if runs else ""


def _is_parquet(uri: str) -> bool:
    return uri.endswith(".parquet")


def _without_airflow(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    if scheme in ("file", "local"):
        return rest
    authority, slash, key = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{key}"


def _json_rows(uri: str) -> Iterator[dict[str, Any]]:
    for line in read_lines(uri):
        yield orjson.loads(line.raw)


def _parquet_rows(uri: str) -> Iterator[dict[str, Any]]:
    with imported_from("parquet", "reading Parquet"):
        import pyarrow.parquet
    with open_binary(uri) as source:
        for batch in pyarrow.parquet.ParquetFile(source).iter_batches(PARQUET_ROWS):
            yield from batch.to_pylist()


def _tables(uri: str) -> Iterator[pyarrow.Table]:
    import pyarrow.parquet

    if _is_parquet(uri):
        with open_binary(uri) as source:
            yield pyarrow.parquet.ParquetFile(source).read()
        return
    rows = _json_rows(uri)
    while some := list(islice(rows, JSON_ROWS)):
        try:
            yield pyarrow.table(
                {name: _column(name, some) for name in dict.fromkeys(key for row in some for key in row)}
            )
        except pyarrow.ArrowException as error:
            raise _no_table(uri, error) from error


def _column(name: str, rows: Sequence[dict[str, Any]]) -> pyarrow.Array:
    """Return a column as Parquet results have it; other fields as Arrow finds them."""
    import pyarrow

    if name == "embedding":
        return _vectors([row[name] for row in rows])
    if name == "truncated":
        return pyarrow.array([row.get(name, False) for row in rows], pyarrow.bool_())
    values = [row.get(name) for row in rows]
    of_text = name == "id" or (name == "output" and not any(isinstance(value, dict) for value in values))
    return pyarrow.array(values, pyarrow.string() if of_text else None)


def _vectors(vectors: Sequence[Sequence[float]]) -> pyarrow.Array:
    import pyarrow

    dimensions = len(vectors[0])
    if any(len(vector) != dimensions for vector in vectors):
        raise pyarrow.ArrowInvalid("vectors of several lengths")
    flat = array("f")
    for vector in vectors:
        flat.extend(vector)
    values = pyarrow.Array.from_buffers(pyarrow.float32(), len(flat), [None, pyarrow.py_buffer(flat)])
    return pyarrow.FixedSizeListArray.from_arrays(values, dimensions)


def _no_table(uri: str, error: Exception) -> InputError:
    return InputError(f"{uri}: its rows are no table: {error}. Iterate over the results instead")
