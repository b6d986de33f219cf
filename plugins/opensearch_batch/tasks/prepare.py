"""PrepareInputOperator: rows become shards, planned and priced, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, TriggerRule
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowNotFoundException
from msgspec import UNSET, structs

from opensearch_batch import providers
from opensearch_batch.dotted import with_dotted
from opensearch_batch.prepare.run_note import FILE, is_under_way, preparation_folder
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.approve import ApprovePlanOperator
from opensearch_batch.tasks.base import BatchOperator, cluster, open_provider_store, refuse_local_work
from opensearch_batch.tasks.before_paying import (
    NOWHERE,
    check_approval,
    check_connections,
    check_places,
    check_pools,
    check_spec,
    check_stragglers,
    check_write_back,
)
from opensearch_batch.tasks.beside import SwapAliasOperator
from opensearch_batch.tasks.check_parity import CheckParityOperator
from opensearch_batch.tasks.closing import flow_name, flow_of, instance, run_key, run_name
from opensearch_batch.tasks.forced import force_word
from opensearch_batch.tasks.page_links import PlanLink
from opensearch_batch.tasks.partition import placeholders, refuse_unknown_conf
from opensearch_batch.tasks.settings import TaskSettings, settings_of_spec
from opensearch_batch.tasks.write_back import WriteBackOperator

if TYPE_CHECKING:
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.prepare.plan import Plan
    from opensearch_batch.prepare.preflight import Preflight
    from opensearch_batch.providers.store import ProviderStore

FOR_REUSED = WriteBackOperator | CheckParityOperator | SwapAliasOperator | ApprovePlanOperator
"""What follows also where nothing is sent, and all vectors are those of earlier runs: an approval asks nothing then,
and lets through what stands behind it.
"""


class PrepareInputOperator(BatchOperator, SkipMixin):
    """Read the input, write the rows as shards, plan and price the run; return the bundles, a bundle for each mapped
    `shard` group.

    A key of the run's conf that is no param of the DAG, and not `partition`, is refused before anything else. XCom
    `plan` has the counts and the estimate, `preflight` the provider's capacity, `spec` the spec with everything filled
    in. A run whose input files are larger than the provider's free storage is refused. When there is nothing to do (an
    empty partition, a dry run), the operator skips the following tasks, but for tasks that run whatever happens.

    :param spec: a spec as a dict, or the path of a spec's YAML file; else give input_uri, model and whatever differs
        from the default.
    :param model: the vendor's model id, as `model.name` of a spec.
    :param output_schema: what each answer of text must fit, as `model.output_schema` of a spec.
    :param template: as `input.template` of a spec; Airflow does not fill it in.
    :param images: as `input.images` of a spec, e.g. {"field": "photo_url"}.
    :param overrides: dotted spec keys to replace, e.g. {"model.name": "…"}; None or "" leaves the spec's own value.
    """

    template_fields: Sequence[str] = (
        *BatchOperator.template_fields,
        "overrides",
        "input_uri",
        "output_uri",
        "work_uri",
        "model",
        "endpoint",
        "model_parameters",
    )
    operator_extra_links = (PlanLink(),)
    template_fields_renderers = {"spec": "json", "overrides": "json", "model_parameters": "json"}

    def __init__(
        self,
        *,
        overrides: dict[str, Any] | None = None,
        input_uri: Any = None,
        output_uri: str | None = None,
        work_uri: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        model_parameters: dict[str, Any] | None = None,
        texts_per_request: int | None = None,
        id_field: str | None = None,
        text_field: str | None = None,
        prompt: str | None = None,
        template: str | None = None,
        images: dict[str, Any] | None = None,
        system_prompt: str | None = None,
        output_schema: str | dict[str, Any] | None = None,
        max_requests: int | None = None,
        max_bytes: int | None = None,
        max_inputs: int | None = None,
        max_tokens: int | None = None,
        max_cost_usd: float | None = None,
        max_failed_fraction: float | None = None,
        repair_rounds: int | None = None,
        too_long: str | None = None,
        max_text_tokens: int | None = None,
        allow_empty: bool | None = None,
        dry_run: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.overrides = overrides
        self.input_uri, self.output_uri, self.work_uri = input_uri, output_uri, work_uri
        self.model, self.endpoint, self.model_parameters = model, endpoint, model_parameters
        self.arguments = {
            "model.texts_per_request": texts_per_request,
            "input.id_field": id_field,
            "input.text_field": text_field,
            "input.prompt": prompt,
            "input.template": template,
            "input.images": images,
            "model.system_prompt": system_prompt,
            "model.output_schema": output_schema,
            "input.too_long": too_long,
            "input.max_text_tokens": max_text_tokens,
            "input.allow_empty": allow_empty,
            "limits.max_requests": max_requests,
            "limits.max_bytes": max_bytes,
            "limits.max_inputs": max_inputs,
            "limits.max_tokens": max_tokens,
            "limits.max_cost_usd": max_cost_usd,
            "limits.max_failed_fraction": max_failed_fraction,
            "limits.repair_rounds": repair_rounds,
            "dry_run": dry_run,
        }

    def run_step(self, context: Context, settings: TaskSettings) -> list[list[dict[str, Any]]]:
        from opensearch_batch.prepare.preparation import prepare
        from opensearch_batch.storage import remove

        refuse_unknown_conf(context)
        spec = self._spec(settings)
        spec = spec.resolve(**placeholders(context, spec.input.partition_format))
        refuse_local_work(spec)
        ti = context["ti"]
        flow = self._flow(context, spec)
        key = run_key(self.dag_id, context["dag_run"].run_id, flow)
        folder = preparation_folder(spec.work_uri, key, instance(ti))
        self._check(spec, key, by_hand=settings.spec is None)
        before = is_under_way(folder)
        plan, bundles = prepare(spec, key, folder, run_name(context), flow_name(context, flow))
        plan = structs.replace(plan, flow=flow or UNSET)
        ti.xcom_push(key="spec", value=spec.to_dict())
        ti.xcom_push(key="plan", value=plan.to_dict())
        if not plan.dry_run:
            try:
                if plan.records:
                    self._refuse_paid(context, spec, bundles, settings)
                    found = self._preflight(context, spec, plan, bundles, settings)
                    ti.xcom_push(key="preflight", value=found.to_dict())
                self._refuse_without_room(spec, plan)
            except BaseException:
                if not before:  # its jobs need the shards
                    remove(folder, recursive=True)
                raise
        if plan.dry_run or not plan.records:
            self.log.info("dry run: nothing is sent" if plan.dry_run else "no rows: nothing to send")
            self._skip_what_follows(ti, writing=bool(plan.reused))
            return []
        return [[shard.to_dict() for shard in shards] for shards in bundles]

    def _flow(self, context: Context, spec: BatchSpec) -> str:
        """Go on under the names of the run where an earlier version has prepared there: what was sent is found by them,
        also what a repair round took and what was asked online.
        """
        from opensearch_batch.storage import exists

        prepared_by = instance(context["ti"])
        if not (flow := flow_of(prepared_by)):
            return flow
        key = run_key(self.dag_id, context["dag_run"].run_id)
        before = preparation_folder(spec.work_uri, key, prepared_by)
        return "" if exists(f"{before}/{FILE}") else flow

    def _check(self, spec: BatchSpec, key: str, *, by_hand: bool) -> None:
        """By hand later tasks may have connections of their own."""
        check_spec(spec)
        following = list(self.get_flat_relatives(upstream=False))
        check_pools(spec, following)
        check_write_back(spec, following)
        check_approval(spec, following)
        check_stragglers(spec, following)
        if not spec.dry_run and not by_hand:
            check_connections([spec.connections.opensearch, spec.provider_connection])
        if not spec.dry_run:
            check_places(spec, key)

    def _skip_what_follows(self, ti: Any, *, writing: bool) -> None:
        """Skip the following tasks, but for tasks that run whatever happens, and where rows have vectors of earlier
        runs for `writing` these, and the alias's move. Skipping raises: the return value is pushed before.
        """
        ti.xcom_push(key="return_value", value=[])
        following = self.get_direct_relatives(upstream=False)
        writers = [task for task in following if writing and isinstance(task, FOR_REUSED)]
        skipped = [task for task in following if task.trigger_rule == TriggerRule.ALL_SUCCESS and task not in writers]
        self.skip(ti, skipped)

    def _refuse_paid(
        self, context: Context, spec: BatchSpec, bundles: list[list[Shard]], settings: TaskSettings
    ) -> None:
        from opensearch_batch.submit.same_input import refuse_paid
        from opensearch_batch.tasks.claiming import paid_for, refuses

        if not refuses(context, spec):
            return
        shards = [shard for shards in bundles for shard in shards]
        wanted = _as_submitted(spec, settings)
        refuse_paid(shards, paid_for(wanted), run_name(context), open_provider_store(wanted), wanted.provider)

    def _preflight(
        self, context: Context, spec: BatchSpec, plan: Plan, bundles: list[list[Shard]], settings: TaskSettings
    ) -> Preflight:
        from opensearch_batch.prepare.preflight import check
        from opensearch_batch.submit.same_input import to_upload
        from opensearch_batch.tasks.claiming import paid_for

        vendor, limits = providers.get(spec.model.provider), spec.limits
        storage_bytes = limits.max_provider_bytes or vendor.STORAGE_BYTES
        stored_bytes, upload_bytes = None, plan.bytes
        if storage_bytes is not None and (store := _known_store(settings)):
            stored_bytes = store.stored_bytes()
            if stored_bytes + plan.bytes > storage_bytes and not force_word(context):
                paid = paid_for(_as_submitted(spec, settings))
                left = to_upload(chain.from_iterable(bundles), paid, run_name(context), store)
                upload_bytes = sum(shard.bytes for shard in left)
        found = check(
            plan,
            upload_bytes=upload_bytes,
            stored_bytes=stored_bytes,
            storage_bytes=storage_bytes,
            window_hours=vendor.window_hours(spec.model.job),
            max_jobs_in_flight=limits.max_jobs_in_flight,
            max_enqueued_tokens=limits.max_enqueued_tokens,
        )
        self.log.info("preflight: %s", found)
        return found

    def _refuse_without_room(self, spec: BatchSpec, plan: Plan) -> None:
        from opensearch_batch.prepare.index_room import refuse_without_room
        from opensearch_batch.sources.index_rows import address_of

        written = plan.records + (plan.reused_rows or 0) + (plan.twins or 0)
        if spec.write_back is None or not plan.indices or not written:
            return
        indices, section = [state.index for state in plan.indices], spec.write_back
        send = cluster(address_of(spec.input.uri)[0])
        refuse_without_room(send, indices, section.vector_field, written, section.when_too_large)

    def _spec(self, settings: TaskSettings) -> BatchSpec:
        given: dict[str, Any] = {
            "input.uri": self.input_uri,
            "output.uri": self.output_uri,
            "work_uri": self.work_uri,
            "model.name": self.model,
            "model.endpoint": self.endpoint,
            "model.parameters": self.model_parameters,
            **self.arguments,
            **{key: None if value == "" else value for key, value in (self.overrides or {}).items()},
        }
        if settings.spec:
            return settings.spec.override(given)
        sections: dict[str, Any] = {
            "model": {"provider": settings.provider.NAME},
            "input": {},
            "output": {"uri": self.output_uri or NOWHERE},
        }
        return BatchSpec.check(
            with_dotted({"name": re.sub(r"\W+", "_", self.dag_id).strip("_"), **sections}, given), self.task_id
        )


def _as_submitted(spec: BatchSpec, settings: TaskSettings) -> TaskSettings:
    """Return the settings of the submit: of the spec with everything filled in."""
    return settings_of_spec(spec) if settings.spec else replace(settings, spec=spec)


def _known_store(settings: TaskSettings) -> ProviderStore | None:
    """Return None where by hand only the submit may know another connection's id."""
    try:
        return open_provider_store(settings)
    except AirflowNotFoundException:
        return None
