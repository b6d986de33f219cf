"""The errors of others behind one of ours, as Airflow prints them: a whole chain without a key."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
import requests
import sqlalchemy
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError

from opensearch_batch.errors import BatchError, Refused, SpecError, Throttled, Unavailable
from opensearch_batch.foreign_errors import Foreign, without_keys
from opensearch_batch.scrubbing import remember
from opensearch_batch.tasks.errors import airflow_errors
from tests.unit.test_scrubbing import KEY

FORMS = (KEY, KEY[::-1], quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), json.dumps(KEY)[1:-1])
SAID = " ".join(FORMS)

FOREIGN: dict[str, Callable[[], BaseException]] = {
    "a storage": lambda: OSError(5, SAID, f"bucket/{KEY}"),
    "AWS": lambda: ClientError({"Error": {"Code": "InvalidToken", "Message": SAID}}, "GetObject"),
    "a client": lambda: httpx.ConnectError(SAID),
    "another client": lambda: requests.ConnectionError(SAID),
    "a database": lambda: sqlalchemy.exc.OperationalError("SELECT 1", {"key": KEY}, Exception(SAID)),
    "an absent name": lambda: KeyError(SAID),
    "several at once": lambda: ExceptionGroup("two", [ValueError(SAID), ExceptionGroup("one", [OSError(SAID)])]),
    "a note": lambda: noted(ValueError("wrong"), SAID),
}


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


@pytest.fixture(autouse=True)
def known() -> None:
    remember(KEY)


def left_by_a_task(act: Callable[[], None]) -> BaseException:
    with pytest.raises(Exception) as caught, airflow_errors():  # noqa: PT011 # whatever leaves
        act()
    return caught.value


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def shown(error: BaseException) -> list[str]:
    return [form for form in FORMS if form in printed(error)]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("ours", [SpecError, Refused, Unavailable, Throttled])
@pytest.mark.parametrize("says_from", [True, False])
def test_no_cause_of_an_error_of_ours_shows_a_key(name: str, ours: type[BatchError], says_from: bool) -> None:
    def act() -> None:
        try:
            raise FOREIGN[name]()
        except Exception as error:
            if says_from:
                raise ours("no such place") from error
            raise ours("no such place")  # noqa: B904 # during the other one

    error = left_by_a_task(act)
    assert isinstance(error, AirflowFailException if ours in (SpecError, Refused) else ours)
    assert shown(error) == []
    assert "***" in printed(error), "the cause is told"
    assert "in act" in printed(error), "and where it was"


@pytest.mark.parametrize("name", FOREIGN)
def test_an_error_that_nobody_foresaw_is_told_without_a_key(name: str) -> None:
    def act() -> None:
        raise FOREIGN[name]()

    error = left_by_a_task(act)
    assert isinstance(error, Foreign)
    assert shown(error) == []
    assert type(FOREIGN[name]()).__name__ in str(error)
    assert "in act" in printed(error)


def test_a_cause_deep_in_the_chain_is_told_without_a_key() -> None:
    def act() -> None:
        try:
            try:
                raise OSError(SAID)
            except OSError as error:
                raise ValueError("in between") from error
        except ValueError as error:
            raise RuntimeError("nobody foresaw") from error

    error = left_by_a_task(act)
    assert type(error) is RuntimeError, "which shows none, and stays"
    assert type(error.__cause__) is ValueError
    assert shown(error) == []
    assert "OSError: ***" in printed(error)


def test_an_error_made_before_its_key_was_known_keeps_its_kind() -> None:
    late = "sk-fake-known-too-late"
    error = Throttled(f"slow down, {late}", retry_after_seconds=7)
    remember(late)
    assert without_keys(error) is error
    assert (str(error), error.retry_after_seconds) == ("slow down, ***", 7)


def test_what_was_suppressed_stays_so() -> None:
    def act() -> None:
        try:
            raise OSError(SAID)
        except OSError:
            raise Unavailable("broke off") from None

    error = left_by_a_task(act)
    assert shown(error) == []
    assert "OSError" not in printed(error)


def test_an_error_without_a_key_is_left_as_it_is() -> None:
    error = KeyError("name")
    error.__context__ = ValueError("before")
    error.__context__.__context__ = error  # as some libraries do
    assert without_keys(error) is error
    assert isinstance(error.__context__, ValueError)
