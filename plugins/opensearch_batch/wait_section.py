"""WaitSection: the pace of the wait for jobs, its deadline, and the hour by which the answers are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from opensearch_batch import providers
from opensearch_batch.cluster.online import PLACEHOLDER
from opensearch_batch.errors import SpecError
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.model_section import ModelSection, refuse_unbounded
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.section import Section

TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
LEAST_SEXAGESIMAL = 60
"""YAML 1.1 reads 1:00 without quotes as 60, 18:30 as 1110: https://yaml.org/type/int.html"""


class WaitSection(Section):
    """The pace and the deadline of the wait for jobs."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"finish_by": "06:30"}

    poll_seconds: float = Field(
        60,
        gt=0,
        description="Fewest seconds between two looks at a job. In a long wait the pause grows to a tenth of the time "
        "waited, at most ten times poll_seconds or ten minutes, and shrinks again near the end of the job. From three "
        "jobs on, one look at the provider's list serves all.",
    )
    timeout_hours: float | None = Field(
        None,
        gt=0,
        description="After this the jobs are cancelled; default: the provider's window and one hour more. So long a "
        "submission without room is tried, too.",
    )
    finish_by: float | str | None = Field(
        None,
        description='When the wait for batches ends: a time of day in quotes, "06:30", in the DAG\'s time zone, the '
        "first after the run's start; or hours since the run's start, below 60. Then batches that have not ended are "
        "cancelled, what they have answered lands, no repair round begins, and limits.max_straggler_usd bounds what is "
        "answered one by one. Default: batches have until timeout_hours.",
    )

    @field_validator("finish_by", mode="before")
    @classmethod
    def _is_a_moment(cls, said: object) -> object:
        said = _number(said)
        if isinstance(said, str) and not TIME_OF_DAY.fullmatch(said):
            raise SpecError(
                f'wait.finish_by {said!r} is no time of day: write "06:30", with two digits each, or a number of hours'
            )
        if isinstance(said, bool) or (isinstance(said, int | float) and not said > 0):
            raise SpecError(f"wait.finish_by {said!r} is neither a time of day in quotes nor a number of hours above 0")
        if isinstance(said, int | float) and said >= LEAST_SEXAGESIMAL:
            is_one = said < 24 * 60 and said == int(said)
            meant = f'"{int(said) // 60:02d}:{int(said) % 60:02d}"' if is_one else '"06:30"'
            raise SpecError(
                f"wait.finish_by is {said:g} hours, and may be below {LEAST_SEXAGESIMAL}. YAML reads a time of day "
                f"without quotes as a number: did you mean {meant}? For a longer wait say wait.timeout_hours"
            )
        return said


def _number(said: object) -> object:
    """The number in a string, as a template of Airflow renders one; anything else unchanged."""
    try:
        return float(said) if isinstance(said, str) else said
    except ValueError:
        return said


def refuse_unfinishable(wait: WaitSection, limits: LimitSection) -> None:
    """Raise SpecError for limits that need wait.finish_by, or cannot be held beside it."""
    if wait.finish_by is None:
        if limits.max_straggler_usd:
            raise SpecError("limits.max_straggler_usd pays for what is open at wait.finish_by: say wait.finish_by too")
        return
    if limits.max_jobs_in_flight is not None or limits.max_enqueued_tokens is not None:
        raise SpecError(
            "wait.finish_by does not end a wait for a turn: leave out limits.max_jobs_in_flight and "
            "limits.max_enqueued_tokens, or wait.finish_by"
        )
    if limits.same_input == "share":
        raise SpecError(
            "wait.finish_by cancels the run's own batches, and limits.same_input: share waits for another run's: say "
            "same_input: allow or refuse"
        )


def refuse_unaskable(model: ModelSection, limits: LimitSection) -> None:
    """Raise SpecError where `_predict` cannot ask the model what a batch asks, or what the answers cost has no price or
    no bound.
    """
    provider = providers.get(model.provider)
    if not _askable(model, provider):
        raise SpecError(
            f"limits.max_straggler_usd: {model.name} at {model.endpoint} cannot be asked online for what a batch asks. "
            "Leave max_straggler_usd out: at wait.finish_by the batches end, and open rows are named"
        )
    if model.writes and PLACEHOLDER in str(_fixed(model)):
        raise SpecError(
            f"limits.max_straggler_usd: model.parameters, system_prompt or output_schema has {PLACEHOLDER}, which the "
            "cluster would take for a placeholder of its own in every row: say it otherwise, or leave out "
            "max_straggler_usd"
        )
    refuse_unbounded("limits.max_straggler_usd", model)
    if provider.PRICE_ID is None and limits.straggler_usd_per_million_tokens is None:
        raise SpecError(
            "limits.max_straggler_usd cannot hold: no list price is known of this provider's tokens. Say "
            "limits.straggler_usd_per_million_tokens"
        )


def _askable(model: ModelSection, provider: Provider) -> bool:
    if not model.writes:
        return bool(provider.online_parameters("a text", model.name, model.endpoint, model.parameters))
    line = provider.request("a row", "a text", model.name, model.endpoint, model.parameters)
    return provider.online_body(line) is not None


def _fixed(model: ModelSection) -> list[Any]:
    """What goes with every row, as far as the spec itself has it."""
    schema = model.output_schema if isinstance(model.output_schema, dict) else None
    return [model.parameters, model.system_prompt, schema]
