"""CheckParityOperator: a sample of the written vectors against the model's online answers, before they are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from opensearch_batch.errors import SpecError, Terminal
from opensearch_batch.tasks.base import BatchOperator, cluster
from opensearch_batch.tasks.closing import run_name
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.spec import BatchSpec


class CheckParityOperator(BatchOperator):
    """Embed a sample of documents again through the cluster's `_predict`, and compare with their vectors; return the
    figures, also as XCom `parity`.

    Fails where vectors are further from the model's answers, or fewer nearest neighbours found, than `parity` of the
    spec allows. Each sampled document costs an online prediction, in every try.

    :param indices: concrete indices to look at, e.g. one that an alias is to be moved to; default: those behind
        input.uri.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "indices")
    template_fields_renderers = {"spec": "json", "indices": "json"}

    def __init__(self, *, indices: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.indices = indices

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.cluster.documents import describe_indices
        from opensearch_batch.cluster.registered import find_model
        from opensearch_batch.parity.gate import check_parity
        from opensearch_batch.sources.index_rows import address_of

        spec = settings.spec
        if spec is None or spec.parity is None:
            raise SpecError("CheckParityOperator needs spec= with write_back and parity")
        if spec.dry_run:
            raise AirflowSkipException("dry run: nothing was written")
        connection, name = address_of(spec.input.uri)
        corpus, models = cluster(connection), cluster(settings.opensearch_conn_id)
        indices = [self.indices] if isinstance(self.indices, str) else list(self.indices or ())
        found = check_parity(
            corpus,
            models,
            spec,
            indices or sorted(corpus(describe_indices(name))),
            run_name(context),
            lambda: find_model(models, spec.registered_as),
            spec.parity.when_incomparable or ("error" if indices or _takes_a_place(spec) else "pass"),
        )
        context["ti"].xcom_push(key="parity", value=found.to_dict())
        for said in found.doubts:
            self.log.warning("%s", said)
        if found.shut:
            raise Terminal(f"{found.shut}. {found}")
        (self.log.info if found.compared else self.log.warning)("%s", found)
        return found.to_dict()


def _takes_a_place(spec: BatchSpec) -> bool:
    return spec.write_back is not None and spec.write_back.is_beside
