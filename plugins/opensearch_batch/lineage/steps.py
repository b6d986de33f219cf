"""The datasets of each step of a run: source and model in, jobs between, results and index out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.written import Written, added
from opensearch_batch.land.report import Report
from opensearch_batch.lineage.datasets import INDEX, AddressOf, Dataset, dataset_at


class Lineage(NamedTuple):
    """What a step has read and written."""

    inputs: list[Dataset]
    outputs: list[Dataset]


class Way(NamedTuple):
    """The ends of a run's way. `model`, `input_uri` and `output_uri` are the spec's, "" for a step wired by hand
    without one; the connection leads to the cluster that has the model.
    """

    dag_id: str
    provider: str
    model: str
    input_uri: str
    output_uri: str
    opensearch_conn_id: str
    address_of: AddressOf


def of_submit(way: Way, jobs: Sequence[Job]) -> Lineage:
    """Jobs of raw parameters have no rows of ours."""
    rows = sum(job.shard.records + (job.shard.twins or 0) for job in jobs if job.shard)
    model_id = next((job.model_id for job in jobs), "")
    return Lineage([*_at(way, way.input_uri, rows), _model(way, model_id)], [_jobs(way, model_id, rows)])


def of_fetch(way: Way, landed: Sequence[Landed], output_uri: str) -> Lineage:
    model_id = next((part.job.model_id for part in landed), "")
    files = [part.results for part in landed if part.results]
    results = _at(way, output_uri, sum(file.rows for file in files))
    return Lineage(
        [_jobs(way, model_id, sum(part.records for part in landed)), _model(way, model_id)],
        [each._replace(bytes=sum(file.bytes for file in files), files=len(files)) for each in results],
    )


def of_write_back(way: Way, rows: int, written: Sequence[Written]) -> Lineage:
    """So many `rows` of results were read; the counts of the index are documents."""
    documents = added(written).written
    return Lineage([*_at(way, way.output_uri, rows), _model(way)], _at(way, way.input_uri, documents))


def of_report(way: Way, report: Report) -> Lineage:
    """The whole run, from the source to the results and the index."""
    results = [each._replace(files=len(report.results)) for each in _at(way, way.output_uri, report.answered)]
    index = _at(way, way.input_uri, report.written.written) if report.written else []
    return Lineage([*_at(way, way.input_uri, report.records), _model(way)], [*results, *index])


def _at(way: Way, uri: str, rows: int) -> list[Dataset]:
    found = dataset_at(uri, way.address_of)
    return [found._replace(rows=rows)] if found else []


def _model(way: Way, model_id: str = "") -> Dataset:
    """The vendor's model; without a spec, which names it, the model of the cluster."""
    if way.model:
        return Dataset(way.provider, way.model, kind="MODEL")
    cluster = f"{INDEX}://{way.address_of(way.opensearch_conn_id)}"
    return Dataset(cluster, f"_plugins/_ml/models/{model_id}", kind="MODEL")


def _jobs(way: Way, model_id: str, rows: int) -> Dataset:
    """The jobs at the provider: one dataset for all runs of a DAG with a model, because each run has jobs of its own
    and needs none when their rows have landed.
    """
    return Dataset(way.provider, f"batches/{way.dag_id}/{way.model or model_id}", rows, kind="JOB_OUTPUT")
