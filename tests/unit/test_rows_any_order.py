"""Each row once in the end, in any order of preparations, landings, repairs, lost outputs and reports of one run."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from opensearch_batch import providers
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.landing import land
from opensearch_batch.land.planned import of_bundles, planned
from opensearch_batch.land.repair import Taken, handed_on_by, leave, prepare_repair
from opensearch_batch.land.report import sum_up
from opensearch_batch.prepare.preparation import prepare, shard_limits
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import open_binary
from opensearch_batch.submit.names import shard_key
from tests.unit.fakes import World

VENDOR = providers.DEFAULT
A_SHARD = 3
BLOCKS = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True)
"""A shard has the rows of a block."""
FATES = st.lists(st.sampled_from(["answered", "twice", "failed", "absent"]), min_size=A_SHARD, max_size=A_SHARD)


class Provider(World):
    """Answers each job as it did the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, list[bytes]] = {}

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        return iter(self.made[outcome.job.key])

    def usage(self, outcome: Outcome) -> None:
        return None


def line_of(request: dict[str, Any], fate: str) -> bytes:
    """The vector of an answer says which text was sent."""
    version = float(request["body"]["input"].split()[-1])
    body = {"data": [{"embedding": [version, 1.0]}], "usage": {"prompt_tokens": 3}}
    if fate == "failed":
        body = {"error": {"code": "too_long", "message": "No."}}
    status = 400 if fate == "failed" else 200
    return json.dumps({"custom_id": request["custom_id"], "response": {"status_code": status, "body": body}}).encode()


def rows_of(file: DataFile) -> list[dict[str, Any]]:
    with open_binary(file.uri) as lines:
        return [json.loads(line) for line in lines]


class AnyOrder(RuleBasedStateMachine):
    """Outputs stay by round and index until another is given, as in Airflow."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.folder = f"file://{self._folder.name}"
        self.provider = Provider()
        self.given: dict[tuple[int, int], list[Landed]] = {}
        self.taken: list[Taken] = []
        self.repairs: list[list[Shard]] = []
        self._prepare([0, 1], 1)

    def _prepare(self, blocks: list[int], version: int) -> None:
        self.version = {f"row-{block}-{n}": float(version) for block in blocks for n in range(A_SHARD)}
        rows = ({"id": row_id, "text": f"text of {row_id} {version}"} for row_id in self.version)
        (Path(self._folder.name) / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        spec = {
            "name": "any_order",
            "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 2}},
            "input": {"uri": f"{self.folder}/in.jsonl"},
            "output": {"uri": f"{self.folder}/out"},
            "limits": {"max_requests": A_SHARD},
        }
        self.spec = BatchSpec.check(spec)
        self.plan, self.planned = prepare(self.spec, "key", f"{self.folder}/work/prepare")

    @rule(index=st.integers(0, 2), fates=FATES, backwards=st.booleans())
    def land_a_shard(self, index: int, fates: list[str], backwards: bool) -> None:
        self._land(0, index, self.planned, fates, backwards=backwards)

    @rule(index=st.integers(0, 2), fates=FATES, backwards=st.booleans())
    def land_a_repair(self, index: int, fates: list[str], backwards: bool) -> None:
        self._land(1, index, self.repairs, fates, backwards=backwards)

    def _land(
        self, number: int, index: int, bundles: list[list[Shard]], fates: Iterable[str], *, backwards: bool
    ) -> None:
        for shard in bundles[index] if index < len(bundles) else ():
            key = shard_key(f"round {number}", shard)
            if key not in self.provider.made:
                with open_binary(shard.uri) as lines:
                    sent = [(json.loads(line), fate) for line, fate in zip(lines, fates, strict=False)]
                found = [line_of(*one) for one in sent if one[1] != "absent" for _ in range(1 + (one[1] == "twice"))]
                self.provider.made[key] = found[::-1] if backwards else found
            job = Job(key, 1, f"batch {key}", "file", None, "model", shard)
            end = Outcome(job, "expired", "expired", [], 0, 0, 0, 0, 0)
            out = self.spec.output.uri
            self.given[number, index] = [land(end, self.provider, VENDOR, out, "key", repair=number == 0)]

    @rule(blocks=BLOCKS, version=st.integers(1, 2), fates=FATES, but=st.sets(st.integers(0, 2), max_size=2))
    def try_the_whole(self, blocks: list[int], version: int, fates: list[str], but: set[int]) -> None:
        """Indexes in `but` give nothing in this try, in either round."""
        self._prepare(blocks, version)
        for index in {0, 1, 2} - but:
            self._land(0, index, self.planned, fates, backwards=False)
        if not but.issuperset(range(len(self.planned))):
            self.prepare_repair()
        for index in {0, 1, 2} - but:
            self._land(1, index, self.repairs, fates, backwards=True)
        self.report()
        self.each_text_is_answered_once()

    @rule(number=st.integers(0, 1), index=st.integers(0, 2))
    def lose_an_output(self, number: int, index: int) -> None:
        """The task ran again, and failed."""
        self.given.pop((number, index), None)

    @rule()
    def prepare_repair(self) -> None:
        fetched = of_bundles((parts for (number, _), parts in self.given.items() if number == 0), self.planned)
        self.taken, self.repairs = [], []
        if handed_on_by([part for parts in fetched for part in parts]):
            limits = shard_limits(self.spec.limits, VENDOR)
            self.taken, self.repairs = prepare_repair(fetched, VENDOR, f"{self.folder}/work/repair", limits)

    @rule()
    def report(self) -> None:
        landed = [part for parts in self.given.values() for part in parts]
        ours = planned(landed, [shard for bundle in self.planned for shard in bundle], [self.taken])
        left = leave(ours.landed, ours.taken, VENDOR, self.spec.output.uri, "key")
        report = sum_up(self.plan, ours.landed, f"{self.folder}/out/manifest.json", left)
        answered = [row for part in ours.landed if part.results for row in rows_of(part.results)]
        failures = [part.failures for part in ours.landed if part.failures] + [rest.failures for rest in left]
        failed = [row["id"] for file in failures for row in rows_of(file)]
        assert {row["id"]: row["embedding"][0] for row in answered}.items() <= self.version.items()
        assert set(failed) <= set(self.version)
        assert set(Counter([row["id"] for row in answered] + failed).values()) <= {1}, "each row once"
        assert (report.records, report.answered) == (len(self.version), len(answered))
        assert report.failed + report.missing == len(self.version) - len(answered)

    def each_text_is_answered_once(self) -> None:
        answers = Counter[str]()
        for lines in self.provider.made.values():
            answers.update({line for line in map(bytes.decode, lines) if '"status_code": 200' in line})
        assert set(answers.values()) <= {1}

    def teardown(self) -> None:
        self.report()
        self.each_text_is_answered_once()
        self._folder.cleanup()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=24,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
