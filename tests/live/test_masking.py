"""What may stand in a transcript."""

from __future__ import annotations

import json
from pathlib import Path

from live.masking import MASK, Mask, basic, shown
from live.transcript import Transcript

KEY = 'sk-sandbox/"not+a-secret'


def test_a_secret_is_replaced_wherever_it_stands_and_however_it_is_written() -> None:
    mask = Mask([KEY, *basic("user", "pw-not-a-secret")])
    value = {"a": [f"Incorrect key: {KEY}.", {KEY: 1}], "b": "sk-sandbox%2F%22not%2Ba-secret", "c": json.dumps(KEY)}
    assert mask.value(value) == {"a": [f"Incorrect key: {MASK}.", {MASK: 1}], "b": MASK, "c": f'"{MASK}"'}
    assert mask.text("Basic dXNlcjpwdy1ub3QtYS1zZWNyZXQ=") == f"Basic {MASK}"
    assert mask.hides(f"…{KEY}…")
    assert not mask.hides("no key")


def test_headers_and_credentials_are_never_shown_whatever_they_hold() -> None:
    answer = {"actions": [{"headers": {"Authorization": "Bearer ${credential.key}"}}], "Credential": {"key": "x"}}
    assert Mask([]).value(answer) == {"actions": [{"headers": MASK}], "Credential": MASK}
    assert Mask([]).text("Authorization: Bearer abc.def") == f"Authorization: Bearer {MASK}"


def test_names_are_replaced_as_whole_words() -> None:
    mask = Mask([], [("os", "<cluster>"), ("", "never")])
    assert mask.text("http://os:9200 is closed") == "http://<cluster>:9200 is closed"
    assert mask.without_names().text("http://os:9200") == "http://os:9200"
    assert Mask([KEY], [("os", "<cluster>")]).without_names().text(KEY) == MASK


def test_a_cut_text_shows_no_part_of_a_secret() -> None:
    text = "x" * 995 + KEY + "y" * 2000
    assert "sk-" not in Mask([KEY]).value(text)


def test_lists_and_searches_are_only_counted() -> None:
    assert shown({"object": "list", "data": [{"filename": "private"}, {}]}) == {"entries": 2}
    assert shown({"hits": {"hits": [{"_source": {}}], "total": {"value": 1}}}) == {"hits": 1}
    assert shown({"name": "node", "version": {"number": "3.6.0", "distribution": "opensearch", "build_hash": "x"}}) == {
        "version": {"distribution": "opensearch", "number": "3.6.0"}
    }
    assert shown({"id": "batch_1"}) == {"id": "batch_1"}


def test_a_transcript_goes_on_in_the_file_it_was_renamed_to(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "live-2026-01-31.jsonl", Mask([KEY]))
    transcript.call("cluster", "GET", f"/{KEY}", 200, 0.0123, {"seen": KEY})
    transcript.name_after("3.6.0")
    transcript.event("end", good=True)
    Transcript(transcript.path, Mask([])).event("again")
    assert [path.name for path in tmp_path.iterdir()] == ["live-2026-01-31-3.6.0.jsonl"]
    call, *events = transcript.lines()
    assert {key: call[key] for key in ("path", "status", "ms", "answer")} == {
        "path": f"/{MASK}",
        "status": 200,
        "ms": 12,
        "answer": {"seen": MASK},
    }
    assert [event["event"] for event in events] == ["end", "again"]
