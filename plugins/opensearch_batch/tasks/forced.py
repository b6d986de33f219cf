"""force_resubmit: the deliberate word, in a run's conf, for a second payment of the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    from airflow.sdk import Context

FORCE = "force_resubmit"


def force_word(context: Context) -> str:
    """Return the word in the run's conf: true, or a text of one's own; empty without one. Raise SpecError for another
    value.

    The word is part of a job's key. So a run whose conf gets a word sends its rows again, once: its retries and clears
    find the new jobs, and only another word pays a third time.
    """
    said = (context["dag_run"].conf or {}).get(FORCE)
    if said is True:
        return "true"
    if said is None or said is False or said == "":
        return ""
    if isinstance(said, str) and said.lower() != "false":
        return said
    raise SpecError(f"the run's conf: {FORCE} is {said!r}; say true, or a text that names this payment")
