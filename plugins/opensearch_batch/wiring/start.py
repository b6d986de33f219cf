"""The start of a run: the input prepared first, then connector and model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import XComArg, literal

from opensearch_batch.operators import CreateConnectorOperator, PrepareInputOperator, RegisterModelOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.closing import PREPARE

OF_ROWS = ("prompt", "template")
"""Templates of `input` that are filled in from each row."""


@dataclass(frozen=True)
class Start:
    """The tasks before the first bundle."""

    prepare: PrepareInputOperator
    connector: CreateConnectorOperator
    model: RegisterModelOperator

    @property
    def spec(self) -> Any:
        """The run's own spec, read and overridden."""
        return XComArg(self.prepare, key="spec")

    @property
    def plan(self) -> Any:
        return XComArg(self.prepare, key="plan")


def start_of(spec: BatchSpec | str, input_uri: Any, overrides: Any) -> Start:
    prepare = PrepareInputOperator(task_id=PREPARE, spec=given(spec), input_uri=input_uri, overrides=overrides)
    resolved: Any = XComArg(prepare, key="spec")
    connector = CreateConnectorOperator(task_id="create_connector", spec=resolved)
    model = RegisterModelOperator(task_id="register_model", spec=resolved, connector_id=connector.output)
    return Start(prepare, connector, model)


def given(spec: BatchSpec | str) -> Any:
    """Return the spec for a task. Airflow fills in templates of a task's arguments, and must leave those of the rows:
    braces that a prompt has twice are the text's own.
    """
    if isinstance(spec, str):
        return spec
    values = spec.to_dict()
    of_rows = {name: text for name in OF_ROWS if (text := getattr(spec.input, name)) is not None}
    values["input"] = {**values["input"], **{name: literal(text) for name, text in of_rows.items()}}
    return values
