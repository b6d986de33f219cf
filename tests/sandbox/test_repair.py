"""Repair rounds: what may be answered goes again, what was answered never, and every row has one fate in the end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch import providers
from opensearch_batch.flow.answers import Answer
from opensearch_batch.operators import PrepareRepairOperator, ReportOperator
from opensearch_batch.prepare.grouping import group_name
from tests.sandbox.bench import KEY, Run, Server, lines_of, rows_of

ROWS = 10
IDS = {row["id"] for row in rows_of(ROWS)}


class Rounds:
    """A run wired by hand with `last` repair rounds. Each task may be executed as often as one likes: by a clear."""

    def __init__(self, run: Run, model_id: str, last: int = 1, **settings: Any) -> None:
        self.run, self.model_id, self.last = run, model_id, last
        self.bundles = run.prepare(
            settings.pop("rows", None) or rows_of(ROWS),
            output_uri=f"file://{run.out}",
            **{"max_failed_fraction": 0.0} | settings,
        )
        self.landed: dict[int, list[Any]] = {}

    def shards(self) -> list[Any]:
        return self.round(0, self.bundles)

    def round(self, number: int, bundles: list[Any]) -> list[Any]:
        """Each bundle is a mapped index: its tasks see nothing of the others."""
        fetched = []
        for bundle in bundles:
            jobs = self.run.submit(self.model_id, bundle, task_id=f"submit_{number}")
            outcomes = self.run.wait(jobs, task_id=f"wait_{number}")
            fetched.append(self.run.fetch(outcomes, task_id=f"fetch_{number}", final=False, repair=number < self.last))
        self.landed[number] = fetched
        return fetched

    def prepare_repair(self, number: int = 1) -> list[Any]:
        bundles: list[Any] = self.run.execute(
            PrepareRepairOperator(task_id=f"prepare_repair_{number}", landed=self.landed[number - 1])
        )
        return bundles

    def repair(self, number: int = 1) -> list[Any]:
        return self.round(number, self.prepare_repair(number))

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.run.execute(
            ReportOperator(
                task_id="report",
                planned_by="prepare",
                landed=[self.landed.get(number, []) for number in range(self.last + 1)],
                repaired_by=[f"prepare_repair_{number}" for number in range(1, self.last + 1)],
            )
        )
        return report


def requests_of(server: Server) -> list[list[dict[str, Any]]]:
    """Of each job that was billed, in the order of submission: the provider's own files say."""
    found = []
    for job in server.ledger:
        answer = server.http.get(
            f"/v1/files/{job['input_file_id']}/content", headers={"Authorization": f"Bearer {KEY}"}
        )
        found.append([json.loads(line) for line in answer.raise_for_status().content.splitlines()])
    return found


def sent(server: Server) -> list[list[str]]:
    return [[request["custom_id"] for request in job] for job in requests_of(server)]


def sent_texts(server: Server) -> list[list[list[str]]]:
    return [[request["body"]["input"] for request in job] for job in requests_of(server)]


def test_expired_rows_go_again_and_only_they(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.6)
    rounds = Rounds(run, model_id)
    rounds.shards()
    answered = {row["id"] for path in run.out.glob("results-*") for row in lines_of(f"file://{path}")}
    assert len(answered) == 6
    rounds.repair()
    report = rounds.report()
    first, second = sent(server)
    assert set(first) == IDS
    assert set(second) == IDS - answered
    assert (report["answered"], report["repaired"], report["failed"], report["missing"]) == (ROWS, 4, 0, 0)
    assert report["passing"] == {"batch_expired": 4}
    assert set(run.landed("results")) == IDS
    assert sorted(entry["rows"] for entry in run.manifest["files"]) == [4, 6]
    assert [(job["round"], job["records"]) for job in report["jobs"]] == [(0, ROWS), (1, 4)]


@pytest.mark.parametrize(
    ("fault", "passing"),
    [
        ({"fault": "cancel", "fraction": 0.3}, {"batch_cancelled": 7}),
        ({"fault": "expire", "fraction": 0}, {"batch_expired": 10}),
        ({"fault": "fail_batch", "code": "rate_limit_exceeded"}, {"rate_limit_exceeded": 10}),
        ({"fault": "fail_rows", "count": 3, "code": "rate_limit_exceeded", "status_code": 429},
         {"rate_limit_exceeded": 3}),
        ({"fault": "fail_rows", "count": 2, "code": "server_error", "status_code": 500}, {"server_error": 2}),
        ({"fault": "lose_row", "count": 2}, {"missing": 2}),
        ({"fault": "cut_row"}, {"missing": 1}),
    ],
    ids=lambda value: value.get("fault") if isinstance(value, dict) else None,
)  # fmt: skip
def test_what_may_be_answered_is_repaired(
    server: Server, model_id: str, run: Run, fault: dict[str, Any], passing: dict[str, int]
) -> None:
    server.ask("POST", "/_sandbox/faults", fault)
    rounds = Rounds(run, model_id)
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    again = sum(passing.values())
    assert (report["answered"], report["repaired"], report["passing"]) == (ROWS, again, passing)
    assert [len(rows) for rows in sent(server)] == [ROWS, again]
    assert (set(run.landed("results")), run.landed("failures")) == (IDS, {})


def misspelt(raw: bytes) -> Answer:
    return Answer(providers.DEFAULT.read_many(raw).row_id)  # type: ignore[attr-defined]


def assert_that_nothing_is_paid_again(server: Server, rounds: Rounds, bundles: list[Any]) -> None:
    """By the repair round, which nothing was handed on to, nor by a clear of what submitted."""
    rounds.landed[0] = []
    with pytest.raises(AirflowSkipException):
        rounds.prepare_repair()
    for bundle in bundles:
        rounds.run.submit(rounds.model_id, bundle, task_id="submit_0")
    assert [len(rows) for rows in sent(server)] == [ROWS]
    assert rounds.run.files() == []


def test_a_bug_of_the_reader_pays_nothing_and_the_mended_one_lands_it_all(
    server: Server, model_id: str, run: Run
) -> None:
    rounds = Rounds(run, model_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers.DEFAULT, "read_line", misspelt)
        with pytest.raises(
            AirflowFailException, match=r"failed at line 1 .*AttributeError: .*'row_id'.*none of its rows"
        ):
            rounds.shards()
        assert_that_nothing_is_paid_again(server, rounds, rounds.bundles)
    rounds.shards()
    assert rounds.report()["answered"] == ROWS
    assert [len(rows) for rows in sent(server)] == [ROWS]


def test_a_file_of_nonsense_pays_nothing(server: Server, model_id: str, run: Run) -> None:
    server.fault("cut_row", count=ROWS)
    rounds = Rounds(run, model_id)
    with pytest.raises(AirflowFailException, match=r"no line of its output can be read; line 1: .*none of its rows is"):
        rounds.shards()
    assert_that_nothing_is_paid_again(server, rounds, rounds.bundles)


def test_of_requests_with_many_texts_only_the_rows_without_an_answer_go_again(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("expire", fraction=0.5)
    rounds = Rounds(run, model_id, texts_per_request=3)
    (fetched,) = rounds.shards()
    answered = fetched["landed"][0]["answered"]
    rounds.repair()
    report = rounds.report()
    assert 0 < answered < ROWS
    assert [sum(map(len, texts)) for texts in sent_texts(server)] == [ROWS, ROWS - answered]
    assert (report["answered"], report["repaired"]) == (ROWS, ROWS - answered)
    assert set(run.landed("results")) == IDS


def test_the_rows_of_a_refused_request_go_again_one_by_one_and_only_the_guilty_one_fails(
    server: Server, model_id: str, run: Run
) -> None:
    """Which of its texts a request is refused for, nobody says."""
    together, guilty = group_name(["row-3", "row-4", "row-5"]), group_name(["row-4"])
    server.fault("fail_rows", times=-1, ids=[together, guilty], code="context_length_exceeded", message="Too long.")
    rounds = Rounds(run, model_id, texts_per_request=3, max_failed_fraction=0.1)
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    assert [[len(texts) for texts in job] for job in sent_texts(server)] == [[3, 3, 3, 1], [1, 1, 1]]
    assert (report["answered"], report["repaired"], report["failed"]) == (ROWS - 1, 2, 1)
    assert run.landed("failures") == {
        "row-4": {"id": "row-4", "code": "context_length_exceeded", "message": "Too long."}
    }


def test_rows_that_failed_for_good_are_failures_at_once_and_never_go_again(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("fail_rows", ids=["row-1", "row-2"], code="context_length_exceeded", message="Too long.")
    server.fault("lose_row")
    rounds = Rounds(run, model_id, max_failed_fraction=0.2)
    rounds.shards()
    (failures,) = run.out.glob("failures-*")
    assert {row["id"] for row in lines_of(f"file://{failures}")} == {"row-1", "row-2"}
    rounds.repair()
    report = rounds.report()
    assert [len(rows) for rows in sent(server)] == [ROWS, 1]
    assert (report["answered"], report["failed"], report["codes"]) == (8, 2, {"context_length_exceeded": 2})
    assert set(run.landed("failures")) == {"row-1", "row-2"}


def test_a_round_without_rows_is_skipped(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_rows", ids=["row-1"], code="context_length_exceeded")
    rounds = Rounds(run, model_id, max_failed_fraction=0.1)
    rounds.shards()
    with pytest.raises(AirflowSkipException, match="not needed: no row of the round before"):
        rounds.prepare_repair()
    assert rounds.report()["failed"] == 1
    assert len(server.ledger) == 1


def test_what_is_left_after_the_last_round_is_a_failure_with_its_last_reason(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("expire", fraction=0.6)
    rounds = Rounds(run, model_id, last=2)
    rounds.shards()
    server.fault("cancel", fraction=0.5)
    rounds.repair(1)
    server.fault("fail_rows", ids=["row-9"], code="server_error", message="Oh.", status_code=500)
    rounds.repair(2)
    with pytest.raises(AirflowFailException, match="1 of 10 rows failed .*'server_error': 1") as caught:
        rounds.report()
    assert "A clear does not send the failed rows of shard 0 of repair 2 again" in str(caught.value)
    assert [len(rows) for rows in sent(server)] == [10, 4, 2]
    assert run.landed("failures") == {"row-9": {"id": "row-9", "code": "server_error", "message": "Oh."}}
    assert set(run.landed("results")) == IDS - {"row-9"}
    report = run.manifest["report"]
    assert (report["repaired"], report["passing"]) == (3, {"batch_expired": 4, "batch_cancelled": 2})


def test_only_shards_with_rows_to_repair_get_a_bundle_and_one_fetchs_rows_share_a_job(
    server: Server, model_id: str, run: Run
) -> None:
    """Five shards in two bundles: of the first bundle two are repaired, of the second none."""
    server.fault("lose_row", count=1)
    rounds = Rounds(run, model_id, max_requests=2)
    server.fault("lose_row", count=1)
    rounds.bundles = [[bundle[0] for bundle in rounds.bundles[:3]], [bundle[0] for bundle in rounds.bundles[3:]]]
    rounds.shards()
    ((shard,),) = rounds.prepare_repair()
    assert (shard["records"], shard["round"], shard["index"]) == (2, 1, 0)
    rounds.repair()
    assert rounds.report()["answered"] == ROWS
    assert [len(rows) for rows in sent(server)] == [2, 2, 2, 2, 2, 2]


def test_shards_of_a_repair_keep_the_limits(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0, times=2)
    rounds = Rounds(run, model_id, max_requests=5)
    rounds.bundles = [[bundle[0] for bundle in rounds.bundles]]
    rounds.shards()
    (bundle,) = run.execute(PrepareRepairOperator(task_id="small", landed=rounds.landed[0], max_requests=4))
    assert [(shard["index"], shard["records"]) for shard in bundle] == [(0, 4), (1, 4), (2, 2)]
    assert sum(shard["estimated_tokens"] for shard in bundle) == pytest.approx(
        sum(shard["estimated_tokens"] for shard in rounds.bundles[0]), abs=3
    )


def test_shards_of_a_repair_keep_the_limit_of_tokens_with_a_system_prompt(server: Server, run: Run) -> None:
    """1000 tokens go with each row, and a shard may have 2100."""
    chat, model = "/v1/chat/completions", "gpt-4o-mini"
    asked: dict[str, Any] = {"model": model, "endpoint": chat, "model_parameters": {"max_tokens": 20}}
    asked |= {"system_prompt": "Label the text. " * 250, "max_tokens": 2100}
    rounds = Rounds(run, server.model(chat, model), rows=rows_of(4), **asked)
    rounds.bundles = [[bundle[0] for bundle in rounds.bundles]]
    server.fault("expire", fraction=0, times=2)
    rounds.shards()
    repair = PrepareRepairOperator(task_id="repair", landed=rounds.landed[0], spec=run.xcoms["prepare", "spec"])
    (bundle,) = run.execute(repair)
    assert [shard["records"] for shard in bundle] == [2, 2]


def test_a_cleared_run_sends_nothing_again(server: Server, model_id: str, run: Run) -> None:
    """From the first task to the last, with and without the tasks' own notes. The first job has no answer, so that
    without a repair round it would make way for another attempt.
    """
    server.fault("expire", fraction=0)
    rounds = Rounds(run, model_id)
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    names = run.files()
    for _ in range(2):
        rounds = Rounds(run, model_id)
        rounds.shards()
        rounds.repair()
        assert rounds.report() == report
        assert run.files() == names
        run.states.clear()
    assert [len(rows) for rows in sent(server)] == [ROWS, ROWS]


def test_a_cleared_shard_that_lands_late_leaves_the_other_shards_repairs_as_they_are(
    server: Server, model_id: str, run: Run
) -> None:
    """The first bundle fails at first, so the round begins without it; its clear moves the others' map indexes, under
    which Airflow keeps their notes.
    """
    server.fault("lose_row")
    rounds = Rounds(run, model_id, max_requests=5)
    rounds.round(0, rounds.bundles[1:])
    rounds.repair()
    with pytest.raises(AirflowFailException, match="5 missing; shard 0 never landed"):
        rounds.report()
    before = sent(server)
    assert [len(rows) for rows in before] == [5, 1]
    run.states.clear()
    server.fault("lose_row")
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["repaired"]) == (ROWS, 2)
    assert [len(rows) for rows in sent(server)[2:]] == [5, 1]
    assert set(run.landed("results")) == IDS


def test_a_shard_that_failed_for_good_and_is_sent_anew_has_a_repair_of_its_own(
    server: Server, model_id: str, run: Run
) -> None:
    """Its rows would change the content of a shard whose rows have been answered."""
    server.fault("fail_batch", code="model_not_found")
    rounds = Rounds(run, model_id, max_requests=5)
    server.fault("lose_row", times=2)
    rounds.bundles = [[bundle[0] for bundle in rounds.bundles]]
    rounds.shards()
    rounds.repair()
    with pytest.raises(AirflowFailException, match="Nothing of shard [01] was answered.* clear submit_batch there"):
        rounds.report()
    server.fault("lose_row")
    rounds.shards()
    rounds.repair()
    assert rounds.report()["answered"] == ROWS
    assert [len(rows) for rows in sent(server)] == [5, 5, 1, 5, 1]


def test_a_round_killed_at_its_submission_pays_once(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.5)
    rounds = Rounds(run, model_id)
    rounds.shards()
    bundles = rounds.prepare_repair()
    server.fault("lost_answer", path="_batch_predict")
    run.submit(model_id, bundles[0], task_id="submit_1", settle_seconds=1.5)
    run.states.clear()
    rounds.repair()
    assert rounds.report()["answered"] == ROWS
    assert [len(rows) for rows in sent(server)] == [ROWS, 5]


def test_a_round_that_never_landed_leaves_its_rows_their_earlier_reason(
    server: Server, model_id: str, run: Run
) -> None:
    """Two shards' rows go again; one of the repair's jobs lands, the other's wait has failed."""
    server.fault("expire", fraction=0.6, times=2)
    rounds = Rounds(run, model_id, max_requests=5, max_failed_fraction=0.2)
    rounds.shards()
    bundles = rounds.prepare_repair()
    rounds.round(1, bundles[:1])
    run.task_states = {"repair_1.wait_for_batch_1": "failed"}
    report = rounds.report()
    assert (report["answered"], report["failed"], report["left"], report["codes"]) == (8, 2, 2, {"batch_expired": 2})
    failures = run.landed("failures")
    assert set(failures) | set(run.landed("results")) == IDS
    assert {row["code"] for row in failures.values()} == {"batch_expired"}
    rounds.round(1, bundles)
    assert rounds.report()["failed"] == 0
    assert (run.landed("failures"), set(run.landed("results"))) == ({}, IDS)


def test_a_round_that_was_never_prepared_leaves_all_of_its_rows(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_rows", count=4, code="server_error", status_code=500)
    server.fault("lose_row")
    rounds = Rounds(run, model_id)
    rounds.shards()
    with pytest.raises(AirflowFailException, match=r"not every planned row is accounted for: 1 missing \(row-"):
        rounds.report()
    report = run.manifest["report"]
    assert (report["answered"], report["failed"], report["missing"], report["left"]) == (5, 4, 1, 5)
    assert set(run.landed("failures")) | set(run.landed("results")) == IDS


def test_shards_written_anew_since_are_noticed(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.6)
    rounds = Rounds(run, model_id)
    rounds.shards()
    uri = rounds.bundles[0][0]["uri"].removeprefix("file://")
    with open(uri, "wb") as shard:
        shard.write(b'{"custom_id": "another"}\n')
    with pytest.raises(AirflowFailException, match="no longer has 4 of the rows that shard 0 handed on, e.g. 'row-"):
        rounds.prepare_repair()
    assert not list((run.folder / "work").rglob("prepare_repair_1/*"))


def test_a_spec_may_allow_fewer_rounds_than_are_wired(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.6)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS), repair_rounds=0)))
    spec = run.xcoms["prepare", "spec"]
    fetched = run.fetch(outcomes, spec=spec, final=False, repair=True)
    (part,) = fetched["landed"]
    assert (part["failed"], part["passing"], part["repair"]) == (4, {}, None)


def test_a_fetch_that_is_the_last_cannot_hand_on(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="a fetch that leaves rows to a repair is not the last"):
        run.fetch([], repair=True)
