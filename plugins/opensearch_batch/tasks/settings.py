"""A task's settings: provider, connections and spec, resolved once at the start of a task and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from opensearch_batch import providers
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.spec import BatchSpec


class Arguments(Protocol):
    """The rendered arguments that all operators and the sensor have."""

    spec: Any
    provider: str
    opensearch_conn_id: str
    provider_conn_id: str
    job: dict[str, Any] | None


@dataclass(frozen=True)
class TaskSettings:
    """`job` has the vendor's own settings of a job, `spec` is None for a task wired by hand."""

    provider: Provider
    opensearch_conn_id: str
    provider_conn_id: str
    job: dict[str, Any] | None
    spec: BatchSpec | None

    @property
    def model(self) -> str | None:
        """The spec's model."""
        return self.spec.model.name if self.spec else None


def settings_of_spec(spec: BatchSpec) -> TaskSettings:
    provider = providers.get(spec.model.provider)
    return TaskSettings(provider, spec.connections.opensearch, spec.provider_connection, spec.model.job, spec)


def settings_of(task: Arguments) -> TaskSettings:
    """Resolve from the arguments first, then the spec, then the provider's own names.

    Raise SpecError for a wrong spec or an unknown provider.
    """
    spec = BatchSpec.of(task.spec) if task.spec else None
    provider = providers.get(task.provider or (spec.model.provider if spec else providers.DEFAULT.NAME))
    return TaskSettings(
        provider=provider,
        opensearch_conn_id=task.opensearch_conn_id or (spec.connections.opensearch if spec else "opensearch_default"),
        provider_conn_id=task.provider_conn_id or (spec.provider_connection if spec else provider.CONNECTION),
        job=task.job or (spec.model.job if spec else None),
        spec=spec,
    )
