"""What holds for every service, in the file as Docker Compose resolves it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.compose.resolved import BASE, CELERY, ROOT, config, services

Services = dict[str, dict[str, Any]]
# A version of at least two numbers, with or without a variant behind it: 18.4-bookworm, but neither 18 nor latest.
EXACT_TAG = re.compile(r"^[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?$")
RUNS_CODE_OF_USERS = {"airflow-scheduler", "airflow-triggerer", "airflow-worker"}
KEY = "sk-test-not-a-secret"
SANDBOX_KEY = "sk-sandbox-not-a-secret"


def is_one_shot(service: dict[str, Any]) -> bool:
    return bool(service.get("restart") == "no")


def provider(found: Services) -> dict[str, Any]:
    connection: dict[str, Any] = json.loads(found["airflow-scheduler"]["environment"]["AIRFLOW_CONN_OPENAI_DEFAULT"])
    return connection


def test_all_services_are_there(resolved: Services) -> None:
    airflow = {f"airflow-{name}" for name in ("init", "apiserver", "scheduler", "dag-processor", "triggerer")}
    celery = {"valkey", "airflow-worker"} if "valkey" in resolved else set()
    assert set(resolved) == {"postgres", "opensearch", "sandbox"} | airflow | celery
    executor = {resolved[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] for name in resolved if "airflow" in name}
    assert executor == {"CeleryExecutor" if celery else "LocalExecutor"}


def test_ports_are_published_on_loopback_only(resolved: Services) -> None:
    published = {name: service["ports"] for name, service in resolved.items() if service.get("ports")}
    assert set(published) == {"airflow-apiserver", "opensearch", "sandbox"}
    assert {port.get("host_ip") for ports in published.values() for port in ports} == {"127.0.0.1"}
    assert not any(service.get("network_mode") for service in resolved.values())


def test_images_have_an_exact_tag(resolved: Services) -> None:
    assert [service["image"] for service in resolved.values() if not EXACT_TAG.match(service["image"])] == []
    assert not EXACT_TAG.match("postgres:latest")
    assert not EXACT_TAG.match("postgres:18")


def test_what_is_built_here_cannot_be_pulled_from_elsewhere(resolved: Services) -> None:
    built = {service["image"] for service in resolved.values() if service.get("build")}
    assert built
    assert all(image.startswith("localhost/") for image in built)


def test_every_service_has_a_healthcheck_or_ends(resolved: Services) -> None:
    checked = {name for name, service in resolved.items() if service.get("healthcheck", {}).get("test")}
    ends = {name for name, service in resolved.items() if is_one_shot(service)}
    assert ends == {"airflow-init"}
    assert checked == set(resolved) - ends


def test_dependencies_wait_for_health(resolved: Services) -> None:
    for name, service in resolved.items():
        for other, dependency in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if is_one_shot(resolved[other]) else "service_healthy"
            assert dependency["condition"] == wanted, f"{name} on {other}"


def test_nobody_is_root(resolved: Services) -> None:
    for name, service in resolved.items():
        user = service["user"].partition(":")[0]
        assert user not in ("", "0", "root"), name
        assert not service.get("privileged"), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_service_comes_back_and_its_log_is_bounded(resolved: Services) -> None:
    for name, service in resolved.items():
        assert is_one_shot(service) or service["restart"] == "unless-stopped", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name


def test_data_lies_in_named_volumes(resolved: Services) -> None:
    """But for one file of settings, read-only."""
    mounts = [mount for service in resolved.values() for mount in service.get("volumes", [])]
    assert {mount["type"] for mount in mounts} == {"volume", "bind"}
    bound = [(Path(mount["source"]), mount["read_only"]) for mount in mounts if mount["type"] == "bind"]
    assert bound == [(ROOT / "docker" / "opensearch.yml", True)]


def test_only_airflow_reaches_its_database(resolved: Services) -> None:
    inside = {name for name, service in resolved.items() if "metadata" in service["networks"]}
    assert inside == {name for name in resolved if name.startswith("airflow-")} | {"postgres", "valkey"} & set(resolved)
    assert set(resolved["postgres"]["networks"]) == {"metadata"}


def test_the_key_is_where_tasks_run_and_nowhere_else(env_file: Path) -> None:
    found = services(env_file, (BASE, CELERY), {"OPENAI_API_KEY": KEY})
    assert {name for name, service in found.items() if KEY in json.dumps(service)} == RUNS_CODE_OF_USERS


def test_without_a_key_the_provider_is_the_sandbox(env_file: Path) -> None:
    assert provider(services(env_file)) == {
        "conn_type": "openai",
        "host": "http://sandbox:8000/v1",
        "password": SANDBOX_KEY,
    }


@pytest.mark.parametrize("base_url", ["", "https://models.example/v1"])
def test_with_a_key_the_sandbox_is_out(env_file: Path, base_url: str) -> None:
    connection = provider(services(env_file, variables={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}))
    assert connection["host"] == (base_url or "https://api.openai.com/v1")
    assert connection["password"] == KEY


@pytest.mark.parametrize("variables", [{}, {"OPENAI_API_KEY": KEY}])
def test_airflow_and_the_hook_take_both_connections(env_file: Path, variables: dict[str, str]) -> None:
    """The key travels to `opensearch` over plain http, which the hook refuses unless the connection allows it."""
    from airflow.sdk import Connection

    from opensearch_batch.cluster.address import refuse_plain_http
    from opensearch_batch.providers.keyed import base_url

    environment = services(env_file, variables=variables)["airflow-scheduler"]["environment"]
    cluster = Connection.from_json(environment["AIRFLOW_CONN_OPENSEARCH_DEFAULT"], conn_id="opensearch_default")
    assert cluster.host == "http://opensearch:9200"
    refuse_plain_http(cluster.host, cluster.extra_dejson, secret=True)
    openai = Connection.from_json(environment["AIRFLOW_CONN_OPENAI_DEFAULT"], conn_id="openai_default")
    assert base_url(openai, "") == ("https://api.openai.com/v1" if variables else "http://sandbox:8000/v1")
    assert openai.password == (KEY if variables else SANDBOX_KEY)


def test_a_missing_secret_is_named(tmp_path: Path, env_file: Path) -> None:
    some = tmp_path / "env"
    some.write_text(re.sub(r"^AIRFLOW_JWT_SECRET=.*$", "AIRFLOW_JWT_SECRET=", env_file.read_text(), flags=re.MULTILINE))
    ended = config(some)
    assert ended.returncode != 0
    assert "AIRFLOW_JWT_SECRET" in ended.stderr
    assert "run docker/env.sh" in ended.stderr


def test_compose_refuses_what_it_does_not_know(tmp_path: Path, env_file: Path) -> None:
    """So that the tests above can fail."""
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(BASE.read_text().replace("stop_grace_period: 90s", "stop_grace_seconds: 90"))
    assert config(env_file, (wrong,)).returncode != 0
