"""The cluster's settings: what would refuse a batch is found, with the request that changes it."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.cluster.cluster_settings import read_settings, wrong_settings

VENDOR = "https://api.vendor.example/v1/batches"
PRIVATE = "http://10.0.0.7:8000/v1/batches"


@pytest.mark.parametrize(
    "answer",
    [
        {"defaults": {"plugins.ml_commons.max_batch_inference_tasks": "10"}, "persistent": {}, "transient": {}},
        {"persistent": {"plugins": {"ml_commons": {"max_batch_inference_tasks": "10"}}}},
        {
            "defaults": {"plugins.ml_commons.max_batch_inference_tasks": "100", "cluster.name": "c"},
            "persistent": {"plugins.ml_commons.max_batch_inference_tasks": "20"},
            "transient": {"plugins.ml_commons.max_batch_inference_tasks": "10"},
        },
    ],
)
def test_settings_are_read_flat_and_nested_transient_before_persistent_before_default(answer: Any) -> None:
    assert read_settings().parse(answer) == {"max_batch_inference_tasks": "10"}


@pytest.mark.parametrize(
    ("settings", "url", "says"),
    [
        (
            {"trusted_connector_endpoints_regex": ["^https://other/.*$"]},
            VENDOR,
            'https://api.vendor.example/ is no trusted endpoint: PUT _cluster/settings {"persistent": '
            '{"plugins.ml_commons.trusted_connector_endpoints_regex": '
            '["^https://other/.*$", "^https://api\\\\.vendor\\\\.example/.*$"]}}',
        ),
        ({"connector.private_ip_enabled": "false"}, PRIVATE, "http://10.0.0.7:8000/ is a private address: PUT "),
        ({"connector.private_ip_enabled": False}, "http://localhost/v1", "http://localhost/ is a private address"),
        ({"remote_inference.enabled": "false"}, VENDOR, "remote_inference.enabled is off: PUT "),
        ({"offline_batch_inference_enabled": "false"}, VENDOR, "offline_batch_inference_enabled is off: PUT "),
    ],
)
def test_what_refuses_a_batch_is_named_with_the_request(settings: Any, url: str, says: str) -> None:
    (found,) = wrong_settings(settings, [url, url])
    assert found.startswith(says)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, PRIVATE),
        ({"trusted_connector_endpoints_regex": ["^https://api\\.vendor\\.example/.*$"]}, VENDOR),
        ({"trusted_connector_endpoints_regex": ["^https://api\\.vendor\\.example/v1/batches.*$"]}, VENDOR),
        ({"trusted_connector_endpoints_regex": ["(?U)[java only"]}, VENDOR),
        ({"connector.private_ip_enabled": "false"}, VENDOR),
        ({"connector.private_ip_enabled": "true"}, PRIVATE),
        ({"remote_inference.enabled": "true"}, VENDOR),
    ],
)
def test_what_is_allowed_or_not_told_is_not_judged(settings: Any, url: str) -> None:
    assert wrong_settings(settings, [url]) == []
