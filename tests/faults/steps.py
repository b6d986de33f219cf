"""The steps at which a fault can strike, and the guards that can be taken away: lines of the product, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PACKAGE = "opensearch_batch"
STORES = {
    "openai": f"{PACKAGE}.providers.openai.store:OpenAIFiles",
    "sagemaker": f"{PACKAGE}.providers.sagemaker.store:TransformJobs",
    "bedrock": f"{PACKAGE}.providers.bedrock.store:InvocationJobs",
    "cohere": f"{PACKAGE}.providers.cohere.store:CohereDatasets",
}
WITHOUT_FAILED_ROWS = ("sagemaker", "cohere")
"""Vendors whose jobs answer each row or fail whole, and go to a repair round: no row of theirs is refused here, and no
run writes failures.
"""
RENAME = "pathlib:Path.replace"
"""An object on a disk appears by this call, from its partial file to its name."""


FAILURES = r"/failures-[^/]*$"


@dataclass(frozen=True)
class Step:
    """A named line: when the function `point` is entered, left, or has given its `nth` item.

    `text` is a regular expression for the arguments.
    """

    name: str
    point: str
    event: str
    text: str = ""
    nth: int = 0


@dataclass(frozen=True)
class Guard:
    """A function whose answer keeps a run from paying twice; removed, it answers `instead`, or what `call` answers."""

    name: str
    point: str
    removes: str
    instead: Any = None
    call: str = ""


SUBMITTER = f"{PACKAGE}.submit.submission:Submitter"


def steps_of(vendor: str) -> tuple[Step, ...]:
    """In the order in which a run comes to them."""
    store = STORES[vendor]
    steps = (
        Step("before the upload", f"{store}.upload", "enter"),
        Step("after the upload", f"{store}.upload", "exit"),
        Step("before the rename of the claim", RENAME, "enter", r"/jobs/[^/]+/[^/]*\.json$"),
        Step("before the submission is noted", f"{SUBMITTER}._submit_once", "enter"),
        Step("before the submit request", f"{SUBMITTER}._send", "enter"),
        Step("submit request sent", "urllib3.connection:HTTPConnection.getresponse", "enter", "/_batch_predict"),
        Step("after its answer", f"{SUBMITTER}._send", "exit"),
        Step("before the state is stored", f"{SUBMITTER}._note", "enter"),
        Step("after the state is stored", f"{SUBMITTER}._note", "exit"),
        Step("while deferred", f"{PACKAGE}.tasks.wait_trigger:BatchTrigger.wait", "enter"),
        Step("at resume", f"{PACKAGE}.tasks.wait:BatchSensor.execute_complete", "enter"),
        Step("in the middle of a download", f"{PACKAGE}.land.landing:_lines", "item", nth=2),
        Step("before the rename of the results", RENAME, "enter", r"/results-[^/]*$"),
        Step("between the files", RENAME, "exit", r"/results-[^/]*$"),
        Step("before the rename of the failures", RENAME, "enter", FAILURES),
        Step("after the rename of the failures", RENAME, "exit", FAILURES),
        Step("before the rename of the manifest", RENAME, "enter", r"/manifest-[^/]*$"),
        Step("after the rename of the manifest", RENAME, "exit", r"/manifest-[^/]*$"),
        Step("before the rename of manifest.json", RENAME, "enter", r"/manifest\.json$"),
        Step("after the rename of manifest.json", RENAME, "exit", r"/manifest\.json$"),
        Step("before the asset event", f"{PACKAGE}.tasks.assets:tell_assets", "enter"),
        Step("after the asset event", f"{PACKAGE}.tasks.assets:tell_assets", "exit"),
    )
    return tuple(step for step in steps if not (vendor in WITHOUT_FAILED_ROWS and step.text == FAILURES))


HANDED_ON = Step("before the rename of the rows handed on", RENAME, "enter", r"/repair-[^/]*\.jsonl$")
"""Of a run with rows for a repair round."""

GUARDS = (
    Guard("note", f"{SUBMITTER}._noted_job", "the look into the task's own notes"),
    Guard("tasks", f"{SUBMITTER}._tasks", "the look at the cluster's tasks", {}),
    Guard("list", f"{STORES['openai']}.find_jobs", "the look at the provider's list of jobs", []),
    Guard("uploads", f"{STORES['openai']}.find_uploads", "the look for uploads", {}),
    Guard("settle", f"{SUBMITTER}._patience", "the settle time", 0.0),
    Guard("hash", f"{PACKAGE}.submit.submission:shard_key", "the rows' hash in a job's key", call="fault_instead:key"),
    Guard("hand-over", f"{SUBMITTER}._handed_on", "the look for rows that a repair round has", instead=False),
)
