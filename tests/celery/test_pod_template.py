"""kubernetes/: by schema only, and as Airflow's own reader takes it. No cluster is asked."""

from __future__ import annotations

import configparser
import copy
import importlib.util
import re
from typing import Any

import pytest
import yaml

from stack.airflow import CHECKOUT

FOLDER = CHECKOUT / "kubernetes"
TEMPLATE = FOLDER / "pod_template.yaml"
POD: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
[BASE] = POD["spec"]["containers"]
KUBERNETES = "1.34"

installed = pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None, reason="kubernetes.lock is not installed: make test-celery"
)


@pytest.mark.celery
@installed
def test_kubernetes_schema_takes_it_and_refuses_what_it_does_not_know() -> None:
    """kubernetes-validate has the schemas of Kubernetes' own OpenAPI description; strict: no unknown fields."""
    import kubernetes_validate

    kubernetes_validate.validate(POD, KUBERNETES, strict=True)
    wrong = copy.deepcopy(POD)
    wrong["spec"]["terminationGraceSeconds"] = 600
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.celery
@installed
def test_airflows_reader_keeps_all_of_it() -> None:
    """Kubernetes' client drops fields that it does not know."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
    from kubernetes.client import ApiClient

    pod = PodGenerator.deserialize_model_file(str(TEMPLATE))
    assert ApiClient().sanitize_for_serialization(pod) == POD


@pytest.mark.celery
@installed
def test_the_executor_has_each_option_of_the_example() -> None:
    from airflow.providers.cncf.kubernetes.get_provider_info import get_provider_info

    example = configparser.ConfigParser()
    example.read(FOLDER / "airflow.cfg")
    known = get_provider_info()["config"]["kubernetes_executor"]["options"]
    assert set(example["kubernetes_executor"]) <= set(known)
    assert example["core"]["executor"] == "KubernetesExecutor"


def test_the_container_is_the_one_that_airflow_looks_for_and_the_image_that_is_built_here() -> None:
    [tag] = re.findall(r"^FROM apache/airflow:(\S+) AS airflow", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert BASE["name"] == "base"
    assert BASE["image"].endswith(f"/opensearch-batch/airflow:{tag}")


def test_nothing_lies_on_a_disk_and_no_secret_in_the_file() -> None:
    values = {each["name"]: each.get("value") for each in BASE["env"]}
    assert values["BATCH_DATA_URI"].startswith("s3://")
    assert "volumes" not in POD["spec"]
    assert {name for name, value in values.items() if value is None} == {
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT",
        "AIRFLOW_CONN_OPENAI_DEFAULT",
        "AIRFLOW_CONN_AWS_DEFAULT",
    }
