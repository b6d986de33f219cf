"""Advice after a refusal, down to the line to paste into a REST client, the spec or roles.yml.

Setting names come from MLCommonsSettings.java of https://github.com/opensearch-project/ml-commons: the documentation's
page of cluster settings lacks most of the names, and an error text of the plugin names a setting that does not exist.
"""

from __future__ import annotations

import json
from re import Match
from typing import Any
from urllib.parse import urlsplit

from opensearch_batch.cluster.ml_commons import ANYTHING, Call

TRUSTED = "trusted_connector_endpoints_regex"

OF_THE_CLUSTER = frozenset(
    {"indices:data/write/bulk", "indices:data/read/mget", "indices:data/read/point_in_time/delete"}
)
"""Permissions that a role has among its cluster_permissions, whatever the name says. Source: the Security plugin's
PrivilegesEvaluator, https://github.com/opensearch-project/security; tried line by line in tests/real.
"""

REPLICAS = (
    'PUT .plugins-ml-task/_settings {"index":{"auto_expand_replicas":"0-all"}} '
    "(by an administrator) ends it: a copy of the task index on each node."
)
OTHER_TEAM = (
    "The model group or the connector belongs to others. Use a model group of your own (spec: model: {group: NAME}; "
    "operator: model_group=NAME), or have its owner let you in: "
    'PUT /_plugins/_ml/model_groups/GROUP {"access_mode": "restricted", "backend_roles": ["ROLE"]}, '
    "or have an administrator give this user a backend role that the group has."
)


def setting(name: str, value: Any) -> str:
    """Return the request to set plugins.ml_commons.`name`; the value holds at once and after restarts."""
    return "PUT _cluster/settings " + json.dumps({"persistent": {f"plugins.ml_commons.{name}": value}})


def trust(call: Call, match: Match[str]) -> str:
    """Return the setting that trusts the refused host.

    From 3.2 on the cluster's text leaves the refused URL out; the setting then trusts the hosts of all the connector's
    actions, since the refused host is among them.
    """
    urls = [match["url"]] if match["url"] else _action_urls(call)
    hosts = sorted({f"{url.scheme}://{url.netloc}" for url in map(urlsplit, urls) if url.netloc})
    patterns = ["^" + host.replace(".", r"\.") + "/.*$" for host in hosts or ["https://PROVIDER"]]
    return (
        f"Trust the provider: {setting(TRUSTED, patterns)}. This replaces the whole list, so add what others need of "
        f"GET _cluster/settings?include_defaults&filter_path=*.plugins.ml_commons.{TRUSTED}; then redeploy models."
    )


def allow_private(call: Call, match: Match[str]) -> str:
    line = setting("connector.private_ip_enabled", True)
    return f"Allow it: {line}, then {_deploy(call, again=True)}."


def deploy(call: Call, match: Match[str]) -> str:
    return f"Deploy it: {_deploy(call)}, or let it deploy itself: {setting('model_auto_deploy.enable', True)}"


def enable_model(call: Call, match: Match[str]) -> str:
    return f'Enable it: PUT {_model_path(call)} {{"is_enabled": true}}'


def take_anything(call: Call, match: Match[str]) -> str:
    interface = json.dumps({"interface": ANYTHING})
    return f"The model's interface is made for other calls. Have it take any: PUT {_model_path(call)} {interface}"


def permit(call: Call, match: Match[str]) -> str:
    """Return lines for roles.yml with the permissions named in the Security plugin's refusal.

    Requests for documents of several indices are the cluster's; their parts are the index's.
    """
    names = [name.strip() for name in match["permissions"].split(",")]
    of_index = all(name.startswith("indices:") and name not in OF_THE_CLUSTER for name in names)
    section = "allowed_actions of the index" if of_index else "cluster_permissions"
    lines = " ".join(f'"- {name}"' for name in names)
    return f"Add to {section} in the user's role in roles.yml: {lines}. Whole roles: docs/roles."


def allow_access_control(call: Call, match: Match[str]) -> str:
    line = setting(f"{match['kind']}_access_control_enabled", True)
    return f"Take access_mode and backend_roles out of the body and of the connection's extra, or: {line}"


def _action_urls(call: Call) -> list[str]:
    body = call.body or {}
    urls = [str(action.get("url", "")) for action in body.get("actions") or []]
    for name, value in (body.get("parameters") or {}).items():
        urls = [url.replace(f"${{parameters.{name}}}", str(value)) for url in urls]
    return urls


def _model_path(call: Call) -> str:
    """Return the model's path: from the path of a submission, else with the placeholder MODEL_ID."""
    return call.path.rpartition("/")[0] if "/models/" in call.path else "/_plugins/_ml/models/MODEL_ID"


def _deploy(call: Call, *, again: bool = False) -> str:
    path = _model_path(call)
    return f"POST {path}/_undeploy and POST {path}/_deploy" if again else f"POST {path}/_deploy"
