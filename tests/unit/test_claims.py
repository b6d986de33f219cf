"""Claims: a run's order among others over the same rows, and what counts as the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.claims import FRESH_SECONDS, Claim, Claimant, claims_of, content_uri
from opensearch_batch.submit.names import file_name, hash_key, key_of

KEY = hash_key("run", "rows")


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(0, f"file://{tmp_path}/work/run/prepare/shard-00000.jsonl", "sha", 3, 100, 25)


def claimed(shard: Shard, at: float, file_id: str = "file-1") -> Claim:
    """The claim as another process reads it."""
    Claimant("dag", "run", "submit", "version", "openai", now=lambda: at)(shard, KEY, file_id)
    return claims_of(shard.run_folder.rsplit("/", 1)[0], [KEY])[KEY]


def test_a_retry_keeps_its_place_and_a_claim_of_long_ago_is_made_anew(shard: Shard) -> None:
    times = [0.0, 100.0, 100 + FRESH_SECONDS - 1, 5000.0]
    made = [claimed(shard, at) for at in times]
    assert [claim.first_at for claim in made] == [0.0, 0.0, 0.0, 5000.0]
    assert [claim.noted_at for claim in made] == times
    assert (made[0].run, made[0].task, made[0].input_file_id) == ("dag/run", "submit", "file-1")


def test_a_new_attempt_comes_after_those_that_came_meanwhile(shard: Shard) -> None:
    claimed(shard, 0.0)
    assert claimed(shard, 10.0, "file-2").first_at == 10.0


def test_the_check_sees_a_claim_that_others_see_too(shard: Shard) -> None:
    seen: list[dict[str, Claim]] = []

    def check(checked: Shard, own: Claim) -> None:
        seen.append(claims_of(checked.run_folder.rsplit("/", 1)[0], [own.key]))
        assert seen[-1] == {KEY: own}

    Claimant("dag", "run", "submit", "version", "openai", check, now=lambda: 1.0)(shard, KEY, "file-1")
    assert len(seen) == 1


def test_only_the_asked_keys_are_read_and_a_strange_claim_is_named(shard: Shard) -> None:
    claimed(shard, 0.0)
    work = shard.run_folder.rsplit("/", 1)[0]
    assert claims_of(work, ["batch-other"]) == {}
    (path,) = Path(work.removeprefix("file://")).glob("jobs/*/*.json")
    path.write_text('{"another": "version"}')
    with pytest.raises(InputError, match="not a claim of this version"):
        claims_of(work, [KEY])


def test_the_same_is_the_same_rows_for_the_same_model(shard: Shard) -> None:
    assert content_uri(shard, "a") == content_uri(replace(shard, index=7, uri=shard.uri + "x"), "a")
    assert content_uri(shard, "a") != content_uri(shard, "b")
    assert content_uri(shard, "a") != content_uri(replace(shard, sha256="other"), "a")


@pytest.mark.parametrize("name", ["batch-mine.jsonl", f"{KEY}.jsonl", f"my-{KEY}-a1.jsonl", f"{KEY}-a1.jsonl.bak"])
def test_the_name_of_a_strangers_file_has_no_key(name: str) -> None:
    assert key_of(name) is None
    assert key_of(file_name(KEY, 12)) == KEY


def test_what_a_killed_try_began_to_write_is_removed_by_the_next(shard: Shard) -> None:
    claimed(shard, 0.0)
    (path,) = Path(shard.run_folder.rsplit("/", 1)[0].removeprefix("file://")).glob("jobs/*/*.json")
    begun, of_another = path.with_name(f".{path.name}.7.partial"), path.with_name(f".{path.name[:-6]}.json.7.partial")
    for left in (begun, of_another):
        left.write_text("{")
    claimed(shard, 1.0)
    assert sorted(path.parent.iterdir()) == sorted([path, of_another])


def test_a_look_before_the_claim_knows_of_the_upload_and_leaves_no_claim(shard: Shard) -> None:
    seen: list[Claim] = []

    def look(looked_at: Shard, claim: Claim) -> None:
        seen.append(claim)

    claimant = Claimant("dag", "run", "submit", "version", "openai", look=look, now=lambda: 1.0)
    for file_id in ("file-1", None):
        claimant.before(shard, KEY, file_id)
    assert [(each.key, each.input_file_id, each.first_at, each.noted_at) for each in seen] == [
        (KEY, "file-1", 1.0, 1.0),
        (KEY, "", 1.0, 1.0),
    ]
    assert claims_of(shard.run_folder.rsplit("/", 1)[0], [KEY]) == {}
