"""What is taken out of outside words, and what stays."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from opensearch_batch import scrubbing
from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.jobs import Job, RemoteJob, outcome
from opensearch_batch.land.reconcile import Fate, Tally, join
from opensearch_batch.scrubbing import LEAST, MASK, MOST, UNFIT, remember, remember_connection, scrubbed, secret_values

KEY = 'sk-fake/MARKED+key="1"&<é\\>'
PLAIN = "sk-fake-MARKED-key-1"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "_memory", scrubbing.Memory())


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRITTEN: dict[str, Callable[[str], str]] = {
    "whole": lambda key: key,
    "reversed": lambda key: key[::-1],
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL, small": lambda key: re.sub("%..", lambda sign: sign[0].lower(), quote(key, safe="")),
    "in a path": quote,
    "in a form": quote_plus,
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON of UTF-8": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "in JSON of the cluster": lambda key: (
        re.sub("[&<>=]", lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(key, ensure_ascii=False)[1:-1])
    ),
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
    "in Python": lambda key: repr(key)[1:-1],
    "in HTML": html.escape,
    "base64": b64,
    "base64 in a URL": lambda key: quote(b64(key), safe=""),
    "base64 of URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("key", [KEY, PLAIN])
@pytest.mark.parametrize("form", WRITTEN)
def test_a_key_is_taken_out_however_it_is_written(form: str, key: str) -> None:
    remember(key)
    assert scrubbed(f"Incorrect key: {WRITTEN[form](key)}!") == f"Incorrect key: {MASK}!"


@pytest.mark.parametrize("before", ["", "u", "us", "user", "Bearer "])
@pytest.mark.parametrize("behind", ["", "\n", "and more"])
def test_base64_hides_no_key_wherever_it_stands_in_it(before: str, behind: str) -> None:
    remember(PLAIN)
    shown = scrubbed(b64(before + PLAIN + behind))
    assert MASK in shown
    rest = shown.replace(MASK, "")
    assert len(rest) <= len(b64(before)) + len(b64(behind)) + 4, "at most the signs that the key shares with others"


def test_a_basic_header_is_taken_out_whole_with_a_password_that_is_short() -> None:
    remember_connection(connection(login="admin", password="admin"))
    assert scrubbed(f"Authorization: Basic {b64('admin:admin')}") == f"Authorization: Basic {MASK}"
    assert scrubbed("admin is no admin") == "admin is no admin"


@pytest.mark.parametrize("short", ["", None, "a", "x" * (LEAST - 1)])
def test_what_is_short_is_an_ordinary_word(short: str | None) -> None:
    remember(short)
    text = f"a text of {short or 'nothing'}"
    assert scrubbed(text) == text


def test_the_shortest_secret() -> None:
    remember("x" * LEAST)
    assert scrubbed("x" * LEAST) == MASK


def connection(**values: Any) -> Any:
    extra = values.pop("extra", None)
    said = {"login": None, "password": None, "host": None, "extra": json.dumps(extra) if extra is not None else None}
    said["conn_id"] = "a"
    return SimpleNamespace(**{**said, **values})


@pytest.mark.parametrize(
    "made",
    [
        connection(password=PLAIN),
        connection(host=f"http://user:{PLAIN}@10.0.0.1:9200"),
        connection(host=f"user:{PLAIN}@cluster"),
        connection(extra={"aws_session_token": PLAIN}),
        connection(extra={"openAI_key": PLAIN}),
        connection(extra={"Authorization": f"ApiKey {PLAIN}"}),
        connection(extra={"headers": {"x-api-key": PLAIN}}),
        connection(extra={"proxies": {"https": f"http://u:{PLAIN}@proxy:3128"}}),
    ],
)
def test_the_secrets_of_a_connection(made: Any) -> None:
    remember_connection(made)
    assert scrubbed(f"got {PLAIN}.") == f"got {MASK}."


def test_what_is_no_secret_of_a_connection_stays() -> None:
    extra = {"region_name": "eu-central-1", "auth_header": "x-api-key", "endpoint_url": "https://models.example.com"}
    remember_connection(connection(login="batch_runner", host="https://search.example.com", extra=extra))
    text = "batch_runner at https://search.example.com, eu-central-1, x-api-key, https://models.example.com"
    assert scrubbed(text) == text


@pytest.mark.parametrize("extra", ["no JSON", "[]", "3", '"text"'])
def test_an_extra_of_another_shape_is_no_error(extra: str) -> None:
    remember_connection(SimpleNamespace(conn_id="a", login=None, password=PLAIN, host="http://[broken", extra=extra))
    assert scrubbed(PLAIN) == MASK


def test_the_key_of_a_connection_stays_known_however_many_there_are() -> None:
    """A wait of days reads its connections once."""
    remember_connection(connection(password=PLAIN))
    for number in range(MOST):
        remember_connection(connection(conn_id=f"c{number}", login="user", password=f"sk-fake-{number:08d}"))
        remember(f"token-fake-{number:08d}")
    assert scrubbed(PLAIN) == MASK


def test_a_key_that_was_replaced_is_known_for_who_still_uses_it() -> None:
    remember_connection(connection(password=PLAIN))
    remember_connection(connection(password="sk-fake-of-today"))
    assert scrubbed(f"{PLAIN} sk-fake-of-today") == f"{MASK} {MASK}"


def test_a_password_of_several_words_takes_no_single_word_out() -> None:
    remember_connection(connection(password="long live opensearch"))
    assert scrubbed("opensearch said: long live opensearch") == f"opensearch said: {MASK}"


def test_a_role_and_the_path_of_a_key_are_shown() -> None:
    role = {"roleArn": "arn:aws:iam::123456789012:role/batch", "secret_key": PLAIN}
    assert secret_values(role) == [PLAIN]
    remember_connection(connection(extra={"ssl_key": "/etc/certs/client.pem"}))
    assert scrubbed("/etc/certs/client.pem") == "/etc/certs/client.pem"


def test_a_token_that_is_read_again_is_among_the_last() -> None:
    remember(PLAIN)
    for number in range(MOST):
        remember(f"token-fake-{number:08d}")
        remember(PLAIN)
    assert scrubbed(PLAIN) == MASK


def test_the_secrets_read_last_are_known() -> None:
    for number in range(MOST + 1):
        remember(f"sk-fake-{number:08d}")
    assert scrubbed("sk-fake-00000000") == "sk-fake-00000000"
    assert scrubbed(f"sk-fake-00000001 sk-fake-{MOST:08d}") == f"{MASK} {MASK}"


def test_what_no_database_of_airflows_takes_is_marked() -> None:
    assert scrubbed("a\0b \ud800 é \U0001f600") == f"a{UNFIT}b {UNFIT * 3} é \U0001f600"


def test_no_error_of_ours_shows_a_key() -> None:
    remember(KEY)
    assert str(BatchError(f"refused: {KEY}")) == f"refused: {MASK}"
    assert str(Unavailable(f"{ {'key': KEY}!r}", status=503)) == f"{{'key': '{MASK}'}}"


def test_no_outcome_shows_a_key() -> None:
    remember(KEY)
    job = Job(key="k", attempt=1, provider_job_id="b", input_file_id=None, task_id=None, model_id="m")
    told = outcome(job, RemoteJob("b", "failed", "failed", error_code=KEY, error_message=f"bad key {KEY}"))
    assert (told.error_code, told.error_message) == (MASK, f"bad key {MASK}")


class OneLineARow:
    """A provider of another package, whose reader knows nothing of keys."""

    NAME = "other"

    @staticmethod
    def read_line(raw: bytes) -> Answer:
        return Answer(raw.decode(), code=f"code-{PLAIN}", message=f"said {b64(PLAIN)}")


def test_no_failure_of_any_providers_row_shows_a_key() -> None:
    remember(PLAIN)
    tally = Tally()
    provider: Any = OneLineARow
    (failure,) = join(["1"], [b"1", f"{PLAIN}".encode()], provider, Fate(), tally)
    assert failure.line == {"id": "1", "code": f"code-{MASK}", "message": f"said {MASK}"}  # type: ignore[union-attr]
    assert (tally.named["foreign"], tally.examples[0].message) == ([MASK], f"said {MASK}")
