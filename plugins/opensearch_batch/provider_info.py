"""What the wheel tells Airflow of itself, as its provider_info.schema.json and, for the connection forms, its
provider.yaml.schema.json have it.

Every process of Airflow reads this at its start: it is data, and imports neither Airflow nor the package's rooms.
"""

from __future__ import annotations

from typing import Any

from opensearch_batch import __version__

_NAME = "OpenSearch ML Commons batch inference"


def get_provider_info() -> dict[str, Any]:
    """Entry point `apache_airflow_provider`."""
    return {
        "package-name": "opensearch-batch",
        "name": _NAME,
        "description": "Batch inference through OpenSearch ML Commons\n",
        "versions": [__version__],
        "changelog": "opensearch_batch/CHANGELOG.md",
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://docs.opensearch.org/latest/ml-commons-plugin/",
                "tags": ["service"],
            }
        ],
        "operators": _modules("opensearch_batch.operators"),
        "sensors": _modules("opensearch_batch.sensor"),
        "hooks": _modules("opensearch_batch.cluster.hook", "opensearch_batch.providers.hook"),
        "triggers": _modules("opensearch_batch.trigger", "opensearch_batch.turn"),
        "extra-links": [
            "opensearch_batch.tasks.links.JobsLink",
            "opensearch_batch.tasks.links.ProviderLink",
            "opensearch_batch.tasks.page_links.PlanLink",
            "opensearch_batch.tasks.page_links.ModelLink",
            "opensearch_batch.tasks.page_links.ReportLink",
        ],
        "connection-types": [_cluster(), _provider()],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _NAME, "python-modules": list(names)}]


def _cluster() -> dict[str, Any]:
    """Its fields are keys of the extra that cluster/hook.py reads; `verify`, `cert`, `timeout` … go on to HttpHook."""
    return {
        "connection-type": "opensearch_ml",
        "hook-name": "OpenSearch ML Commons",
        "hook-class-name": "opensearch_batch.cluster.hook.MLCommonsHook",
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": {"schema": "Scheme"},
            "placeholders": {
                "host": "search.example.com",
                "schema": "https",
                "port": "9200",
                "login": "user of the Security plugin; empty with SigV4",
            },
        },
        "conn-fields": {
            "sigv4": _field(
                "Sign with SigV4", "boolean", "For Amazon OpenSearch Service, with the AWS credentials of the machine."
            ),
            "region": _field("AWS region", "string", "Of the domain or collection."),
            "service": _field(
                "AWS service", "string", "es (as when empty) for a domain, aoss for Serverless.", enum=["es", "aoss"]
            ),
            "verify_certs": _field(
                "Verify the certificate", "boolean", "Only switch this off on a machine of your own.", default=True
            ),
            "ca_file": _field(
                "CA file", "string", "Path of the authority's certificates (PEM) on workers and triggerers."
            ),
            "allow_plain_http": _field(
                "Allow plain http",
                "boolean",
                "Let a password or key travel unencrypted to another machine: on a network of your own only.",
            ),
            "backend_roles": _field(
                "Backend roles",
                "array",
                "Roles that may use the connector and model made here, one a line, on a cluster with access control.",
            ),
        },
    }


def _provider() -> dict[str, Any]:
    """Its fields are what providers with one key read of a connection (providers/keyed.py)."""
    return {
        "connection-type": "batch_provider",
        "hook-name": "Batch provider (API key)",
        "hook-class-name": "opensearch_batch.providers.hook.ProviderHook",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "schema", "port"],
            "relabeling": {"password": "API key", "host": "Base URL"},
            "placeholders": {"host": "empty for the vendor's own, or https://gateway.example/v1"},
        },
        "conn-fields": {
            "provider": _field(
                "Provider", "string", "Whom a test of this connection asks, by its name in a spec's model.provider."
            ),
            "auth_header": _field(
                "Header of the key", "string", "Where a gateway wants the bare key in a header of its own: its name."
            ),
        },
    }


def _field(label: str, kind: str, description: str, **schema: Any) -> dict[str, Any]:
    """A field may stay empty: then it is no key of the extra."""
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}
