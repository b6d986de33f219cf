"""The metrics by name: what each counts and the tags that it has. Tests hold the senders, the page and the dashboard to
this list.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "opensearch_batch"


class Metric(NamedTuple):
    """Timers are in milliseconds; a gauge is what a triggerer holds just now."""

    kind: Literal["counter", "timer", "gauge"]
    tags: tuple[str, ...]


OF_A_RUN = ("dag_id", "provider", "model")

METRICS = {
    "rows": Metric("counter", (*OF_A_RUN, "outcome")),
    "failures": Metric("counter", (*OF_A_RUN, "code")),
    "rows_reused": Metric("counter", OF_A_RUN),
    "rows_repaired": Metric("counter", OF_A_RUN),
    "repair_rounds": Metric("counter", OF_A_RUN),
    "jobs": Metric("counter", OF_A_RUN),
    "tokens": Metric("counter", OF_A_RUN),
    "cost_microusd": Metric("counter", OF_A_RUN),
    "documents": Metric("counter", (*OF_A_RUN, "outcome")),
    "turn": Metric("timer", ("dag_id",)),
    "wait": Metric("timer", ("dag_id",)),
    "landing": Metric("timer", ("dag_id",)),
    "jobs_in_flight": Metric("gauge", ("dag_id", "provider", "hostname")),
    "waiting_for_turn": Metric("gauge", ("dag_id", "provider", "hostname")),
}
"""Names stand behind PREFIX and a dot."""
