"""The operators that make the model ready. Import these classes from opensearch_batch.operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseHook, Connection, Context
from airflow.sdk.log import mask_secret

from opensearch_batch.cluster.connector_body import load_body, prepare_body
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.credential import refuse_literal_credential
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.scrubbing import remember, remember_connection, secret_values
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.note import Memory
from opensearch_batch.tasks.base import BatchOperator, cluster
from opensearch_batch.tasks.before_paying import check_connections
from opensearch_batch.tasks.page_links import ModelLink
from opensearch_batch.tasks.settings import TaskSettings

UNDEPLOYED = "undeployed"
"""Key in the task's memory: the models that a try undeploys, until they are deployed again."""


class CreateConnectorOperator(BatchOperator):
    """Make sure the cluster has exactly this connector; return the connector's id.

    :param body: the body of `POST /_plugins/_ml/connectors/_create` as the OpenSearch docs print it: a dict, or the
        path of a JSON or YAML file. The values of the body's `credential` are only placeholders: the connection has the
        real values.
    :param base_url_from: id of a connection whose host (a base URL) replaces the vendor's own in all actions.
    :param credential_conn_id: connection with the key, default the provider's. The connection's password fills a
        credential of one key; the names of several keys are looked up in the connection's extra.
    :param on_change: reaction to a connector of the same name with another body: "error" (default) shows the
        difference, "redeploy" undeploys the connector's models, updates the connector and deploys the models again.
    :param rotate_credential: write the connection's key into the existing connector (undeploys for seconds). No run
        notices a new key otherwise: the cluster never shows the stored key. With on_change "redeploy" every run writes
        temporary keys (a session token).
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "body", "base_url_from", "credential_conn_id")
    template_fields_renderers = {"body": "json", "spec": "json"}
    operator_extra_links = (ModelLink(),)

    def __init__(
        self,
        *,
        body: Any = None,
        base_url_from: str = "",
        credential_conn_id: str = "",
        on_change: str = "",
        rotate_credential: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(body, Mapping):  # before the DAG is stored, and the key with it
            refuse_literal_credential(body.get("credential") or {})
        self.body = body
        self.base_url_from = base_url_from
        self.credential_conn_id = credential_conn_id
        self.on_change = on_change
        self.rotate_credential = rotate_credential

    def run_step(self, context: Context, settings: TaskSettings) -> str:
        from opensearch_batch.cluster.registration import deploy_left, ensure_connector
        from opensearch_batch.providers.store import store_class

        vendor, spec = settings.provider, settings.spec
        connection = BaseHook.get_connection(self.credential_conn_id or settings.provider_conn_id)
        store = store_class(vendor)
        moved: Callable[[str], str] | None = None
        others: list[dict[str, Any]] = []
        if self.body is not None:
            raw = load_body(self.body)
            if self.base_url_from:
                there = store.base_url(BaseHook.get_connection(self.base_url_from), vendor.BASE_URL)
                moved = partial(vendor.moved, base_url=there)
        elif spec:
            raw, *others = _raw_connectors(settings, spec, connection)
        else:
            raise SpecError("CreateConnectorOperator needs body= or spec=")
        if not {"connection_timeout", "read_timeout", "max_retry_times"} <= set(raw.get("client_config") or {}):
            self.log.warning(
                "connector %s has no whole client_config: how long the cluster waits for the provider is then up to "
                "its version, and a lost answer is looked for longer. "
                "Set connection_timeout 30, read_timeout 60, max_retry_times 0.",
                raw.get("name"),
            )
        body = prepare_body(raw, moved)
        secrets = store.credential(raw.get("credential") or vendor.CREDENTIAL, connection)
        remember_connection(connection)
        for secret in secret_values(secrets):
            remember(secret)
            mask_secret(secret)
        on_change = self.on_change or (spec.model.on_change if spec else "error")
        renew = self._renews(secrets, vendor, on_change)
        serving = [prepare_body(other) for other in others]
        send = cluster(settings.opensearch_conn_id)
        memory: Memory = context["task_state_store"]
        note = partial(memory.set, UNDEPLOYED)
        if left := memory.get(UNDEPLOYED):
            deploy_left(send, left)
            note([])
        return ensure_connector(send, body, secrets, on_change=on_change, renew=renew, others=serving, note=note)

    def _renews(self, secrets: Mapping[str, str], vendor: Provider, on_change: str) -> bool:
        """Tell whether to write expiring keys anew before a submit, where the model may be disturbed."""
        ends = bool(vendor.EXPIRING & secrets.keys())
        if ends and on_change != "redeploy":
            self.log.warning(
                "these keys are temporary (%s). An existing connector keeps those it has, because new ones mean a "
                "redeployment: on_change=redeploy writes them in each run. Or use keys that stay.",
                ", ".join(sorted(vendor.EXPIRING & secrets.keys())),
            )
        return self.rotate_credential or (ends and on_change == "redeploy")


def _raw_connectors(settings: TaskSettings, spec: BatchSpec, connection: Connection) -> list[dict[str, Any]]:
    """Return the body that the spec wants, then those that serve as well: a connector that takes rows whole, for
    stragglers of a model that writes, does all that the connector without them does.
    """
    from opensearch_batch.providers.request_body import taking_rows
    from opensearch_batch.providers.store import store_class

    vendor, model, store = settings.provider, spec.model, store_class(settings.provider)
    there = store.base_url(connection, vendor.BASE_URL)
    job = {**store.settings(connection), **(settings.job or {})}
    plain = vendor.connector(spec.registered_as, model.name, model.endpoint, model.parameters, there, job)
    if not model.writes:
        return [plain]
    return [taking_rows(plain)] if spec.limits.max_straggler_usd else [plain, taking_rows(plain)]


def wanted_connectors(settings: TaskSettings) -> list[dict[str, Any]]:
    """Return the body of the connector that create_connector makes from a spec, without the key, then the bodies that
    serve as well. Raise SpecError without a spec, or where the provider's connection does not exist.
    """
    if settings.spec is None:
        raise SpecError("only a spec tells the connector")
    check_connections([settings.provider_conn_id])
    connection = BaseHook.get_connection(settings.provider_conn_id)
    return [prepare_body(raw, None) for raw in _raw_connectors(settings, settings.spec, connection)]


class RegisterModelOperator(BatchOperator):
    """Make sure the model is registered on the connector, in a named group, and deployed; return the model's id.

    :param connector_id: the connector's id, as CreateConnectorOperator returns it.
    :param name: default the spec's. A model of the same name on the same connector is used again, without a second
        version.
    :param model_group: created when absent; the plugin would make a public group for a model without a group.
    :param deploy: deploy the model, and wait until the model is DEPLOYED.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "name", "connector_id", "model_group")
    operator_extra_links = (ModelLink(),)

    def __init__(
        self, *, connector_id: Any, name: str = "", model_group: str = "", deploy: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.connector_id = connector_id
        self.name = name
        self.model_group = model_group
        self.deploy = deploy

    def run_step(self, context: Context, settings: TaskSettings) -> str:
        from opensearch_batch.cluster.registration import ensure_model

        spec = settings.spec
        name = self.name or (spec.registered_as if spec else "")
        if not name:
            raise SpecError("RegisterModelOperator needs name= or spec=")
        group = self.model_group or (spec.model.group if spec else "opensearch-batch")
        return ensure_model(cluster(settings.opensearch_conn_id), name, self.connector_id, group, deploy=self.deploy)
