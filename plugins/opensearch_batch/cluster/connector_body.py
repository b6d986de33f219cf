"""A connector's body: read, checked, pointed at a server, marked with a hash. A prepared body holds no credential."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from opensearch_batch.errors import SpecError

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})
BATCH_ACTIONS = ("batch_predict_status", "cancel_batch_predict")


def prepare_body(body: Mapping[str, Any], moved: Callable[[str], str] | None = None) -> dict[str, Any]:
    """Return the body without its credential, with all URLs `moved` and the body's hash in the description.

    `moved` maps a URL of the vendor to the same API on a second server. A moved status or cancel action without a
    request body gets "{}": ML Commons replaces an action without a request body by a default, and can make the default
    for the vendor's own host only (ConnectorUtils.createConnectorAction). Raise SpecError for a key in a header.
    """
    made = {key: value for key, value in body.items() if key != "credential"}
    for action in body.get("actions", []):
        refuse_literal_keys(action)
    if moved:
        made["actions"] = [_moved(action, moved) for action in body.get("actions", [])]
    description = str(body.get("description") or f"{body.get('name')} for batch inference from Airflow")
    return {**made, "description": f"{description} (body sha256: {body_hash(made)})"}


def body_hash(body: Mapping[str, Any]) -> str:
    """Return the first 16 hex digits of the SHA-256 of the body, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def refuse_literal_keys(action: Mapping[str, Any]) -> None:
    """Raise SpecError for a header with a literal key: the cluster shows headers to all who may read connectors."""
    for name, value in (action.get("headers") or {}).items():
        if name.lower() in SECRET_HEADERS and "${credential." not in str(value):
            raise SpecError(
                f"header {name!r} of {action.get('action_type')!r} holds a key; write ${{credential.<name>}} there"
            )


def load_body(body: Any) -> dict[str, Any]:
    """Return a connector's body, given as a mapping or as the path of a JSON or YAML file.

    Raise SpecError for a file that is absent or neither JSON nor YAML, and for a body without name or actions.
    """
    if isinstance(body, str):
        import yaml

        from opensearch_batch.yaml_file import read_yaml

        try:
            body = read_yaml(body)
        except OSError as error:
            raise SpecError(f"connector body {body}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise SpecError(f"connector body {body}: neither JSON nor YAML: {error}") from None
    if not isinstance(body, Mapping) or not body.get("name") or not body.get("actions"):
        raise SpecError("a connector body is an object with name, protocol, credential and actions")
    return dict(body)


def _moved(action: Mapping[str, Any], moved: Callable[[str], str]) -> dict[str, Any]:
    there, url = dict(action), str(action.get("url", ""))
    if (other := moved(url)) != url:
        there["url"] = other
        if str(action.get("action_type")).lower() in BATCH_ACTIONS:
            there.setdefault("request_body", "{}")
    return there
