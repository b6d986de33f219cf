"""The sandbox is held to recorded exchanges of real servers: it agrees, or the difference is listed with its reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call
from tests.contract.cluster import ML, Cluster
from tests.contract.conftest import REPLAY_REPORT
from tests.contract.differences import KNOWN
from tests.contract.recordings import FOLDER, Exchange, Ids, differences, load
from tests.contract.replay import PROFILES, Compared, play, report

# Each call the package can send, by its own functions.
SENT: dict[str, Call] = {
    "create_connector": ml_commons.create_connector({}),
    "get_connector": ml_commons.get_connector("ID"),
    "update_connector": ml_commons.update_connector("ID", {}),
    "delete_connector": ml_commons.delete_connector("ID"),
    "search_connectors": ml_commons.search_connectors("name"),
    "register_group": ml_commons.register_group("name"),
    "search_groups": ml_commons.search_groups("name"),
    "delete_group": ml_commons.delete_group("ID"),
    "register_model": ml_commons.register_model("name", "ID", "ID", deploy=True),
    "get_model": ml_commons.get_model("ID"),
    "search_models": ml_commons.search_models("ID"),
    "deploy_model": ml_commons.deploy_model("ID"),
    "undeploy_model": ml_commons.undeploy_model("ID"),
    "delete_model": ml_commons.delete_model("ID"),
    "batch_predict": ml_commons.batch_predict("ID", {}),
    "predict": ml_commons.predict("ID", {}),
    "predict_text": ml_commons.predict_text("ID", {}),
    "get_task": ml_commons.get_task("ID"),
    "search_tasks": ml_commons.search_tasks({}),
    "search_open_tasks": ml_commons.search_open_tasks(),
    "cancel_task": ml_commons.cancel_task("ID"),
}


@pytest.fixture(scope="module", params=PROFILES)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Compared]]:
    profile = request.param
    compared = play(profile, tmp_path_factory.mktemp("replay"))
    request.config.stash[REPLAY_REPORT].append(report(profile, compared))
    return profile, compared


def test_each_exchange_agrees_or_its_difference_is_listed(played: tuple[str, list[Compared]]) -> None:
    profile, compared = played
    assert [one.name for one in compared] == [one.name for one in load(profile)]
    assert {one.name: one.differences for one in compared if one.differences and one.name not in KNOWN[profile]} == {}


def test_a_listed_difference_is_still_one(played: tuple[str, list[Compared]]) -> None:
    profile, compared = played
    assert set(KNOWN[profile]) <= {one.name for one in compared if one.differences}
    assert all(KNOWN[profile].values())


@pytest.mark.parametrize("profile", PROFILES)
def test_no_kind_of_exchange_that_the_package_sends_is_listed(profile: str) -> None:
    """A body that is not JSON is of no such kind."""
    kinds = {_kind(call.method, call.path) for call in SENT.values()}
    listed = [one for one in load(profile) if one.name in KNOWN[profile] and not isinstance(one.body, str)]
    assert [one.name for one in listed if _kind(one.method, one.path) in kinds] == []


@pytest.mark.parametrize("profile", ["2.19.6", "3.6.0"])
def test_each_kind_of_call_that_the_package_sends_was_recorded(profile: str) -> None:
    recorded = {_kind(one.method, one.path) for one in load(profile)}
    assert {_kind(call.method, call.path) for call in SENT.values()} <= recorded


def test_no_call_of_the_package_is_missing_here() -> None:
    public = {name: value for name, value in vars(ml_commons).items() if not name.startswith("_")}
    makers = {name for name, value in public.items() if getattr(value, "__annotations__", {}).get("return") == "Call"}
    assert makers == set(SENT)


def _security() -> list[tuple[str, Exchange]]:
    lines = [json.loads(line) for line in (FOLDER / "security.jsonl").read_text().splitlines()]
    return list(zip([line["fault"] for line in lines], load("security"), strict=True))


@pytest.mark.parametrize(("fault", "exchange"), _security(), ids=[one.name for _, one in _security()])
def test_the_security_plugins_refusals_on_order_are_the_recorded_ones(
    cluster: Cluster, fault: str, exchange: Exchange
) -> None:
    cluster.fault(fault)
    status, answer = cluster.raw(exchange.method, exchange.path, exchange.body)
    assert status == exchange.status
    assert list(differences(_nobody(exchange.answer), _nobody(answer), Ids())) == []


def _nobody(answer: Any) -> Any:
    """Without the user's name."""
    return json.loads(re.sub(r"User \[name=\w+, backend_roles=\[\w*\]", "User [name=X", json.dumps(answer)))


def _kind(method: str, path: str) -> tuple[str, str]:
    """With every id called ID."""
    found = re.fullmatch(rf"({ML}/(?:connectors|model_groups|models|tasks))/(?!_)[^/?]+(/.*)?", path)
    return method, f"{found[1]}/ID{found[2] or ''}" if found else path
