"""The operators that make the model ready. Import them from opensearch_batch.operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseHook, Context
from airflow.sdk.log import mask_secret

from opensearch_batch import providers
from opensearch_batch.cluster.connector_body import load_body, prepare_body
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.credential import refuse_literal_credential
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import BatchOperator, cluster


class CreateConnectorOperator(BatchOperator):
    """Make sure the cluster has exactly this connector; return its id.

    :param body: the body of `POST /_plugins/_ml/connectors/_create` as the OpenSearch docs print it: a dict, or the
        path of a JSON or YAML file. The values of its `credential` are only placeholders: they come from the
        connection.
    :param base_url_from: id of a connection whose host (a base URL) replaces the vendor's own in all actions.
    :param credential_conn_id: connection with the key, default the provider's. Its password fills a credential of
        one key; of several, each is looked up by name in its extra.
    :param on_change: what to do when a connector of this name has another body: "error" (default) shows the
        difference, "redeploy" undeploys its models, updates it and deploys them again.
    :param rotate_credential: write the connection's key into the existing connector (undeploys for seconds). A new
        key is not noticed otherwise: the cluster never shows the one it has. Temporary keys (a session token) are
        written in each run with on_change "redeploy".
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "body", "base_url_from", "credential_conn_id")
    template_fields_renderers = {"body": "json", "spec": "json"}

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

    def run_step(self, context: Context) -> str:
        from opensearch_batch.cluster.registration import ensure_connector
        from opensearch_batch.providers.store import store_class

        vendor = providers.get(self.provider)
        connection = BaseHook.get_connection(self.credential_conn_id or self.provider_conn_id)
        spec = BatchSpec.of(self.spec) if self.spec else None
        store = store_class(vendor)
        moved: Callable[[str], str] | None = None
        if self.body is not None:
            raw = load_body(self.body)
            if self.base_url_from:
                there = store.base_url(BaseHook.get_connection(self.base_url_from), vendor.BASE_URL)
                moved = partial(vendor.moved, base_url=there)
        elif spec:
            model, there = spec.model, store.base_url(connection, vendor.BASE_URL)
            job = {**store.settings(connection), **(self.job or {})}
            raw = vendor.connector(spec.registered_as, model.name, model.endpoint, model.parameters, there, job)
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
        for secret in secrets.values():
            mask_secret(secret)
        on_change = self.on_change or (spec.model.on_change if spec else "error")
        return ensure_connector(
            cluster(self), body, secrets, on_change=on_change, renew=self._renews(secrets, vendor, on_change)
        )

    def _renews(self, secrets: Mapping[str, str], vendor: Provider, on_change: str) -> bool:
        """Keys that end by themselves are written anew before a submit, where the model may be disturbed for it."""
        ends = bool(vendor.EXPIRING & secrets.keys())
        if ends and on_change != "redeploy":
            self.log.warning(
                "these keys are temporary (%s). An existing connector keeps those it has, because new ones mean a "
                "redeployment: on_change=redeploy writes them in each run. Or use keys that stay.",
                ", ".join(sorted(vendor.EXPIRING & secrets.keys())),
            )
        return self.rotate_credential or (ends and on_change == "redeploy")


class RegisterModelOperator(BatchOperator):
    """Make sure the model is registered on the connector, in a named group, and deployed; return its id.

    :param connector_id: what CreateConnectorOperator returned.
    :param name: default the spec's. The same name on the same connector is used again instead of a second version.
    :param model_group: created when absent; without one the plugin would make a public group.
    :param deploy: deploy the model, and wait until it is DEPLOYED.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "name", "connector_id", "model_group")

    def __init__(
        self, *, connector_id: Any, name: str = "", model_group: str = "", deploy: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.connector_id = connector_id
        self.name = name
        self.model_group = model_group
        self.deploy = deploy

    def run_step(self, context: Context) -> str:
        from opensearch_batch.cluster.registration import ensure_model

        spec = BatchSpec.of(self.spec) if self.spec else None
        name = self.name or (spec.registered_as if spec else "")
        if not name:
            raise SpecError("RegisterModelOperator needs name= or spec=")
        group = self.model_group or (spec.model.group if spec else "opensearch-batch")
        return ensure_model(cluster(self), name, self.connector_id, group, deploy=self.deploy)
