"""What the page of a run needs of the values that its tasks push. As in told.py, keys beyond these are passed over: the
tasks may be of a later version than the page, or of an earlier one, which has fewer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field

from opensearch_batch.pages.told import ToldJob


class ToldExample(msgspec.Struct, frozen=True):
    id: str
    code: str
    message: str


class ToldRunPlan(msgspec.Struct, frozen=True):
    """`records` are the rows to send; `reused_rows`, `twins` and `bad_rows` come on top."""

    records: int
    shards: int
    bytes: int
    estimated_tokens: int
    estimated_usd: float | None
    dry_run: bool = False
    unchanged: int = 0
    empty: int = 0
    reused_rows: int = 0
    twins: int = 0
    bad_rows: int = 0
    images: int = 0
    image_tokens: int = 0

    @property
    def rows(self) -> int:
        return self.records + self.reused_rows + self.twins + self.bad_rows


class ToldPlace(msgspec.Struct, frozen=True):
    uri: str | None = None


class ToldRunModel(msgspec.Struct, frozen=True):
    name: str | None = None
    registered_as: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


class ToldRunSpec(msgspec.Struct, frozen=True):
    name: str | None = None
    model: ToldRunModel = ToldRunModel()
    input: ToldPlace = ToldPlace()
    output: ToldPlace = ToldPlace()


class ToldApproval(msgspec.Struct, frozen=True):
    answer: str
    records: int
    estimated_usd: float | None
    ask_above_usd: float
    until: str = ""
    by: str = ""
    at: str = ""


class ToldEnd(msgspec.Struct, frozen=True):
    """How a job ended."""

    job: ToldJob
    state: str
    requests_total: int = 0
    requests_done: int = 0
    requests_failed: int = 0
    error_code: str | None = None
    error_message: str | None = None


class ToldLanded(msgspec.Struct, frozen=True):
    job: ToldJob
    state: str
    records: int
    answered: int
    failed: int
    missing: int
    codes: dict[str, int] = field(default_factory=dict)
    examples: list[ToldExample] = field(default_factory=list)
    passing: dict[str, int] = field(default_factory=dict)


class ToldFetched(msgspec.Struct, frozen=True):
    landed: list[ToldLanded]


class ToldWritten(msgspec.Struct, frozen=True):
    written: int
    superseded: int
    deleted: int
    refused: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    examples: list[ToldExample] = field(default_factory=list)
    incomplete: int | None = None


class ToldParity(msgspec.Struct, frozen=True):
    compared: int
    below: int = 0
    least_cosine: float | None = None
    mean_cosine: float | None = None
    recall: float | None = None
    named: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    why_not: str = ""
    shut: str = ""


class ToldCarried(msgspec.Struct, frozen=True):
    written: int
    deleted: int


class ToldSwapped(msgspec.Struct, frozen=True):
    alias: str
    index: str
    carried: ToldCarried
    after: ToldCarried
    documents: int
    without_vector: int
    kept: str | None = None
    older: list[str] = field(default_factory=list)


class ToldStragglers(msgspec.Struct, frozen=True):
    """Rows asked online after the last batch; their tokens and their money are in no other figure of the report."""

    rows: int
    answered: int
    tokens: int
    estimated_usd: float | None
    usd: float | None
    refused: int = 0
    unaskable: int = 0
    why_not: str = ""


class ToldReportedJob(msgspec.Struct, frozen=True):
    shard: int | None
    round: int
    provider_job_id: str
    state: str
    records: int
    task_id: str | None = None
    shared_with: str | None = None


class ToldReport(msgspec.Struct, frozen=True):
    """`passing` counts by code how often rows went to a repair round. `not_sent` is set where the plan was rejected."""

    records: int
    answered: int
    failed: int
    missing: int
    manifest: str
    shards: int
    duplicates: int = 0
    foreign: int = 0
    unreadable: int = 0
    repaired: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    passing: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[ToldExample] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    jobs: list[ToldReportedJob] = field(default_factory=list)
    unlanded: list[ToldReportedJob] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    estimated_tokens: int = 0
    estimated_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    actual_tokens: int = 0
    actual_usd: float | None = None
    bad_rows: int = 0
    reused: int = 0
    twins: int = 0
    not_sent: int | None = None
    stragglers: ToldStragglers | None = None
    written: ToldWritten | None = None
    parity: ToldParity | None = None
    swapped: ToldSwapped | None = None
