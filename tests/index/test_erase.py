"""Erasure: a document goes from index, files and provider, the others stay byte for byte, and a proof says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import results
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.erase import erasure, outputs, work
from opensearch_batch.erase.proof import hashed_id
from opensearch_batch.operators import EraseOperator
from opensearch_batch.providers.openai.store import OpenAIFiles
from opensearch_batch.reuse import moved
from opensearch_batch.storage import ObjectWriter
from tests.index.bench import Cluster, Fill, Index, articles
from tests.index.beside import Beside
from tests.sandbox.bench import KEY, Run, Server

Night = Callable[..., Fill]
BORN = "1900-01-01"
SECRET = "Plainly Fake Person, 1 Nowhere Street"


@pytest.fixture
def reuse(tmp_path: Path) -> dict[str, Any]:
    return {"uri": f"file://{tmp_path}/paid-for"}


def erase(run: Fill, ids: Any, run_id: str = "erasure-1", **settings: Any) -> dict[str, Any]:
    operator = EraseOperator(task_id="erase", spec=run.spec, ids=ids, **{"remove": True, **settings})
    return proof_of(Run(run.run.folder, run_id).execute(operator))


def proof_of(told: dict[str, Any]) -> dict[str, Any]:
    proof: dict[str, Any] = json.loads(Path(told["proof"].removeprefix("file://")).read_bytes())
    assert (told["state"], told["looked_at"]) == (proof["state"], len(proof["places"]))
    return proof


def files_with(folder: Path, text: str) -> list[str]:
    """All files of a folder with a text, hidden ones and Parquet too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and _has(path, text))


def _has(path: Path, text: str) -> bool:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return text in str(pyarrow.parquet.read_table(path).to_pylist())
    return text.encode() in path.read_bytes()


def at_the_provider(server: Server) -> Iterator[str]:
    """The content of each file."""
    headers = {"Authorization": f"Bearer {KEY}"}
    for each in server.http.get("/v1/files", headers=headers).raise_for_status().json()["data"]:
        yield server.http.get(f"/v1/files/{each['id']}/content", headers=headers).raise_for_status().text


def lines_of_others(folder: Path) -> list[bytes]:
    """The lines of all results there, as their bytes, without those of the person."""
    lines = [line for path in folder.glob("results-*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(line for line in lines if json.loads(line)["id"] != "person")


def of_values(source: dict[str, Any]) -> dict[str, Any]:
    """What a document has, without nulls and objects of nulls."""
    values = {name: of_values(value) if isinstance(value, dict) else value for name, value in source.items()}
    return {name: value for name, value in values.items() if value not in (None, {})}


def found_in(proof: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in proof["places"]:
        found[place["kind"]] = found.get(place["kind"], 0) + place["found"]
    return found


def with_rows(proof: dict[str, Any]) -> list[dict[str, Any]]:
    return [place for place in proof["places"] if place["found"]]


def with_secret(count: int) -> dict[str, dict[str, Any]]:
    return {**articles(count), "person": {"title": "a person", "body": SECRET, "day": BORN}}


def test_a_document_goes_from_everywhere_and_the_others_stay(
    cluster: Cluster, index: Index, night: Night, server: Server, reuse: Any, tmp_path: Path
) -> None:
    settings = {"reuse": reuse, "output": {"include": ["body"]}}
    index.add(with_secret(20))
    night(**settings).through()
    index.edit("a3", body="another text")
    index.edit("person", title="edited")
    night("night-2", **settings).through()
    run = night("night-3", **settings)
    before, lines = index.hits, lines_of_others(tmp_path / "out")
    assert files_with(tmp_path, SECRET)

    planned = erase(run, ["person"], "plan", remove=False)
    assert (planned["state"], index.hits) == ("planned", before)
    proof = erase(run, ["person"])

    assert proof["state"] == "erased"
    assert found_in(proof) == found_in(planned)
    assert all(place["left"] == 0 for place in proof["places"])
    assert files_with(tmp_path, SECRET) == []
    assert [text for text in at_the_provider(server) if SECRET in text] == []
    before.pop("person")
    assert index.hits == before
    assert lines_of_others(tmp_path / "out") == lines
    rows = {row["id"]: row for row in results.open(f"file://{tmp_path}/out/manifest.json")}
    assert "person" not in rows
    assert proof["hashes"] == [hashed_id(proof["salt"], "person")]

    jobs = len(server.ledger)
    run.prepare()
    assert run.plan["records"] == 0
    copy = cluster.index("copy")
    copy.add({name: hit["_source"] | {"vector": None, "vector_provenance": None} for name, hit in before.items()})
    again = night("night-4", **settings)
    again.index = copy
    again.prepare()
    assert (again.plan["records"], again.plan["reused_rows"], len(server.ledger)) == (0, 20, jobs)


def test_only_the_text_goes_where_the_document_shall_stay(index: Index, night: Night, server: Server) -> None:
    index.add(with_secret(10))
    night().through()
    others = {name: hit for name, hit in index.hits.items() if name != "person"}
    proof = erase(night("night-2"), ["person"], forget="text")
    assert (proof["state"], found_in(proof)["index"]) == ("erased", 1)
    left = index.hits.pop("person")["_source"]
    assert of_values(left) == {"title": "a person", "day": BORN}
    assert {name: hit for name, hit in index.hits.items() if name != "person"} == others
    jobs = len(server.ledger)
    run = night("night-2")
    run.prepare()
    assert (run.plan["records"], run.plan["empty"], len(server.ledger)) == (0, 1, jobs)


def test_a_query_names_the_documents_of_each_index_of_an_alias(index: Index, night: Night, tmp_path: Path) -> None:
    other = index.cluster.index("articles-old", shards=1)
    index.add(with_secret(5), routing="team 1")
    other.add(articles(5))
    add = [{"add": {"index": name, "alias": "all-articles"}} for name in (index.name, other.name)]
    index.cluster.ok("POST", "/_aliases", {"actions": add})
    run = night(input={"uri": "opensearch://corpus/all-articles"}, output={"include": ["body"]})
    run.through()
    proof = erase(run, None, query=json.dumps({"term": {"day": BORN}}))
    assert (proof["documents"], proof["state"]) == (1, "erased")
    assert proof["hashes"] == [hashed_id(proof["salt"], "articles/person")]
    assert set(index.hits) == set(other.hits) == set(articles(5))
    assert files_with(tmp_path, SECRET) == []


def test_a_run_that_has_not_ended_is_refused_by_its_name(index: Index, night: Night, tmp_path: Path) -> None:
    index.add(with_secret(10))
    run = night()
    shards = run.prepare()
    with pytest.raises(AirflowFailException, match="run by_hand/night-1 of fill: not ended"):
        erase(night("night-2"), ["person"])
    planned = erase(night("night-2"), ["person"], "plan", remove=False)
    assert "run by_hand/night-1 of fill: not ended" in planned["not_removed"][0]["what"]
    landed = run.land(shards)
    run.write(landed)
    with pytest.raises(AirflowFailException, match="not ended"):
        erase(night("night-2"), ["person"])
    run.report(landed)
    assert erase(night("night-2"), ["person"])["state"] == "erased"
    assert "person" not in index.hits


def test_a_run_that_is_prepared_at_the_moment_may_have_any_document(index: Index, night: Night, tmp_path: Path) -> None:
    index.add(with_secret(10))
    night().through()
    [note] = (tmp_path / "work").rglob("run.json")
    note.write_text(note.read_text().replace('"prepared":true', '"prepared":false'))
    with pytest.raises(AirflowFailException, match="run by_hand/night-1 of fill: not ended"):
        erase(night("night-2"), ["person"])
    assert erase(night("night-2"), ["person"], unfinished="cancel")["state"] == "erased"


def test_what_failed_is_forgotten_with_the_words_about_it(
    index: Index, night: Night, server: Server, tmp_path: Path
) -> None:
    index.add({**with_secret(30), "list": {"title": SECRET, "body": ["one"]}})
    server.fault("fail_rows", ids=["person"])
    settings = {"limits": {"max_failed_fraction": 0.5}, "input": {"bad_rows": "skip"}}
    report = night(**settings).through()
    assert [each["id"] for each in report["examples"]] == ["person", "list"]
    proof = erase(night("night-2", **settings), ["person", "list"])
    assert proof["state"] == "erased"
    assert found_in(proof)["failures"] == 2
    assert found_in(proof)["checkpoint"] == 1
    manifest = results.open(f"file://{tmp_path}/out/manifest.json").manifest
    assert (manifest.report.records, manifest.report.answered, manifest.report.failed) == (30, 30, 0)
    assert (manifest.report.examples, manifest.report.codes, manifest.report.bad_rows) == ([], {}, 0)
    assert files_with(tmp_path, '"person"') == files_with(tmp_path, '"list"') == []


@pytest.mark.parametrize("person", ["a-person", "z-person"])
def test_another_document_of_the_same_text_keeps_its_vector(
    index: Index, night: Night, reuse: Any, tmp_path: Path, person: str
) -> None:
    """Of a run one of both is sent, and the record has one entry of both."""
    index.add({**articles(5), person: {"title": SECRET, "body": "the same"}, "m-twin": {"body": "the same"}})
    settings = {"reuse": reuse, "output": {"include": ["title"]}}
    night(**settings).through()
    proof = erase(night("night-2", **settings), [person])
    assert proof["state"] == "erased"
    report = results.open(f"file://{tmp_path}/out/manifest.json").manifest.report
    assert (report.records, report.answered, report.twins) == (6, 6, 0)
    assert files_with(tmp_path, SECRET) == files_with(tmp_path, f'"{person}"') == []
    assert "m-twin" in index.vectors
    assert any("vectors of the same texts" in each["what"] for each in proof["not_removed"])
    index.add({"third": {"title": "another", "body": "the same"}})
    assert night("night-3", **settings).through()["reused"] == 1


def test_twins_are_counted_without_those_that_went(index: Index, night: Night, reuse: Any, tmp_path: Path) -> None:
    same = {name: {"title": "t", "body": "the same"} for name in ("a", "b", "c", "d")}
    index.add({**articles(3), **same})
    run = night(reuse=reuse)
    assert run.through()["twins"] == 3
    assert erase(night("night-2", reuse=reuse), ["a", "c"])["state"] == "erased"
    report = results.open(f"file://{tmp_path}/out/manifest.json").manifest.report
    assert (report.records, report.twins) == (5, 1)
    assert erase(night("night-2", reuse=reuse), ["b", "d"], "erasure-2")["state"] == "erased"
    report = results.open(f"file://{tmp_path}/out/manifest.json").manifest.report
    assert (report.records, report.twins) == (3, 0)


def test_indices_that_swaps_have_kept_are_looked_in_too(
    aliased: Index, change: Callable[..., Beside], tmp_path: Path
) -> None:
    first, second = change(), change("change-2", write_back={"on_model_change": "replace"})
    first.through()
    second.through()
    proof = erase(second, ["a3"])
    looked = {place["at"]: place["found"] for place in proof["places"] if place["kind"] == "index"}
    names = [aliased.name, first.new_index.name, second.new_index.name]
    assert looked == {f"opensearch://corpus/{name}": 1 for name in names}
    assert proof["state"] == "erased"
    for each in (aliased, first.new_index, second.new_index):
        assert set(each.hits) == set(articles(40)) - {"a3"}
    aliased.cluster.delete(aliased.name)
    assert erase(second, ["a4"], "erasure-2")["state"] == "erased"


class Killed(BaseException):
    """No error that any code catches."""


class Reaper:
    """Kills a step once at each change of anything, of a file or an index, until a try ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        self._moment = moment
        self.kills: list[tuple[str, str]] = []
        for owner, name in ((ObjectWriter, "commit"), (OpenAIFiles, "delete_file"), (MLCommonsHook, "send")):
            monkeypatch.setattr(owner, name, self._mortal(getattr(owner, name), name))
        for module in (outputs, work, erasure, moved):
            monkeypatch.setattr(module, "remove", self._mortal(module.remove, "remove"))

    def _mortal(self, act: Callable[..., Any], name: str) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            at = given[0].uri if name == "commit" else getattr(given[-1], "name", given[-1])
            if (name, at) in self.kills or (name == "send" and at != "write documents"):
                return act(*given, **named)
            self.kills.append((name, at))
            if self._moment == "after":
                act(*given, **named)
            raise Killed(name)

        return called

    def until_it_ends(self, step: Callable[[], Any]) -> Any:
        for _ in range(100):
            try:
                return step()
            except Killed:
                continue
        raise AssertionError(f"killed 100 times: {self.kills}")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_erasure_ends_as_an_undisturbed_one(
    cluster: Cluster, index: Index, night: Night, server: Server, reuse: Any, tmp_path: Path, moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = {"reuse": reuse, "output": {"include": ["body"]}}
    index.add(with_secret(20))
    night(**settings).through()
    index.edit("person", body=f"{SECRET}, moved")
    night("night-2", **settings).through()
    run = night("night-3", **settings)
    others, lines = index.hits, lines_of_others(tmp_path / "out")
    others.pop("person")
    query = {"term": {"day": BORN}}
    planned = erase(run, None, "plan", remove=False, query=query)

    with monkeypatch.context() as patched:
        reaper = Reaper(patched, moment)
        proof = reaper.until_it_ends(lambda: erase(run, None, query=query))

    assert {"commit", "delete_file", "send", "remove"} == {name for name, _ in reaper.kills}
    assert len(reaper.kills) >= 20
    assert (proof["state"], with_rows(proof)) == ("erased", with_rows(planned))
    assert (index.hits, lines_of_others(tmp_path / "out")) == (others, lines)
    assert files_with(tmp_path, SECRET) == [text for text in at_the_provider(server) if SECRET in text] == []
    manifests = [json.loads(path.read_bytes()) for path in (tmp_path / "out").glob("manifest-*.json")]
    named = {Path(entry["uri"]).name for manifest in manifests for entry in manifest["files"]}
    assert named == {path.name for path in (tmp_path / "out").glob("results-*")}
    assert sorted(path.name for path in (tmp_path / "out" / "erasures").iterdir()) == ["erasure-1.json", "plan.json"]
    copy = cluster.index("copy")
    copy.add({name: {"body": hit["_source"]["body"]} for name, hit in others.items()})
    run.index = copy
    run.prepare()
    assert (run.plan["records"], run.plan["reused_rows"]) == (0, 20)


def test_the_record_forgets_a_text_also_where_the_results_with_its_vector_are_gone(
    index: Index, night: Night, reuse: Any, tmp_path: Path
) -> None:
    """A clean-up has removed them: no results file tells of the entry any more."""
    index.add(with_secret(5))
    night(reuse=reuse).through()
    for path in (tmp_path / "out").glob("results-*"):
        path.unlink()
    proof = erase(night("night-2", reuse=reuse), ["person"])
    assert proof["state"] == "erased"
    assert found_in(proof)["reuse record"] == 1
    assert not any("vectors of the same texts" in each["what"] for each in proof["not_removed"])
    assert found_in(erase(night("night-3", reuse=reuse), ["person"], "erasure-2"))["reuse record"] == 0
