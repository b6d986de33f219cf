"""Lineage: what an operator has read and written, as Airflow's OpenLineage provider asks for it when the task has
ended. The provider is optional, and imported where it asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from opensearch_batch.lineage.datasets import Dataset
from opensearch_batch.lineage.steps import Lineage, Way
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.generated.base import DatasetFacet

PORTS = {"http": 80, "https": 443}


def way_of(context: Context, settings: TaskSettings) -> Way:
    spec = settings.spec
    return Way(
        dag_id=context["dag_run"].dag_id,
        provider=settings.provider.NAME,
        model=spec.model.name if spec else "",
        input_uri=spec.input.uri if spec else "",
        output_uri=spec.output.uri if spec else "",
        opensearch_conn_id=settings.opensearch_conn_id,
        address_of=cluster_address,
    )


def cluster_address(conn_id: str) -> str:
    """Return host and port; a login in the host is left out."""
    from opensearch_batch.cluster.address import as_http, filled

    connection: Any = BaseHook.get_connection(conn_id)
    url = urlsplit(str(as_http(connection, filled(connection.extra_dejson)).host))
    host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
    return f"{host}:{url.port or PORTS[url.scheme]}"


def facets_of(lineage: Lineage) -> OperatorLineage[Any, Any]:
    """Return the datasets as the provider's contract has them (`get_openlineage_facets_on_complete`)."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=[_read(each) for each in lineage.inputs], outputs=[_written(each) for each in lineage.outputs]
    )


def _read(dataset: Dataset) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet

    made = InputDataset(dataset.namespace, dataset.name, facets=_type(dataset))
    if dataset.rows is not None:
        counts = InputStatisticsInputDatasetFacet(dataset.rows, dataset.bytes, dataset.files)
        made.inputFacets = {"inputStatistics": counts}
    return made


def _written(dataset: Dataset) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

    made = OutputDataset(dataset.namespace, dataset.name, facets=_type(dataset))
    if dataset.rows is not None:
        counts = OutputStatisticsOutputDatasetFacet(dataset.rows, dataset.bytes, dataset.files)
        made.outputFacets = {"outputStatistics": counts}
    return made


def _type(dataset: Dataset) -> dict[str, DatasetFacet]:
    """Jobs are TEMPORARY, which lets a backend draw their writer and their reader side by side."""
    from openlineage.client.generated.dataset_type_dataset import DatasetTypeDatasetFacet

    if not dataset.kind:
        return {}
    part = "TEMPORARY" if dataset.kind == "JOB_OUTPUT" else None
    return {"datasetType": DatasetTypeDatasetFacet(datasetType=dataset.kind, subType=part)}
