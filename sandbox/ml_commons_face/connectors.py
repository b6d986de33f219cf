"""/connectors: bodies are checked, and a connector that models use cannot be changed or deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.ml_commons_face import bodies, sigv4
from sandbox.ml_commons_face.documents import now_ms, visible
from sandbox.ml_commons_face.errors import OpenSearchError, illegal_argument, no_index, not_served, status_exception
from sandbox.ml_commons_face.search import search, tokens
from sandbox.ml_commons_face.template import as_text, fill

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.ml_commons_face.documents import Indices
    from sandbox.ml_commons_face.settings import Settings
    from sandbox.state import Stored

PROTOCOLS = ("aws_sigv4", "http", "mcp_sse", "mcp_streamable_http")
ACTION_TYPES = ("PREDICT", "EXECUTE", "BATCH_PREDICT", "CANCEL_BATCH_PREDICT", "BATCH_PREDICT_STATUS")
KEPT = ("name", "version", "description", "protocol", "parameters", "credential", "actions", "client_config")
ACCESS_FIELDS = ("backend_roles", "add_all_backend_roles", "access_mode")
NAME_RULE = re.compile(r"[\w \.,!\?\(\):@\-'/\"]*", re.ASCII)
MOST_IDS_NAMED = 10
DEPLOYED = ("DEPLOYED", "PARTIALLY_DEPLOYED")


class Connectors:
    def __init__(self, box: Box, indices: Indices, settings: Settings) -> None:
        self._box, self._settings = box, settings
        self._connectors, self._models = indices.connectors, indices.models

    async def create(self, request: Request) -> Response:
        body = await bodies.read(request)
        self._check(body)
        stored = self._connectors.create(self._document(body) | {"created_time": now_ms()})
        return JSONResponse({"connector_id": stored.id})

    async def get(self, request: Request) -> Response:
        body = visible(self._find(request).body)
        order = ("name", "version", "description", "protocol", "parameters", "actions")
        return JSONResponse({key: body[key] for key in order if key in body} | body)

    async def put(self, request: Request) -> Response:
        """Parameters are merged into the stored ones, everything else replaces."""
        change = await bodies.read(request)
        stored = self._find(request)
        users = self._models_using(stored.id, deployed_only=True)
        if users:
            raise status_exception(400, _used(users, "please undeploy the models first"))
        if "actions" in change:
            self._check_actions(change["actions"])
        new = self._document(change)
        merged = {**(stored.body.get("parameters") or {}), **(new.get("parameters") or {})}
        body = stored.body | new | ({"parameters": merged} if merged else {})
        return JSONResponse(self._connectors.written(self._connectors.write(stored.id, body)))

    async def delete(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if not self._connectors.exists:
            if self._box.is_3x:
                raise status_exception(404, "Failed to find connector")
            reason = f"Failed to delete data object from index {self._connectors.name}"
            raise no_index(500, reason, self._connectors.name)
        users = self._models_using(id_, deployed_only=False)
        if users:
            raise status_exception(409, _used(users, "please delete or update the models first"))
        return JSONResponse(self._connectors.delete(id_))

    async def search(self, request: Request) -> Response:
        body = await bodies.read(request, "request body or source parameter is required")
        return JSONResponse(search(self._connectors, body))

    def _find(self, request: Request) -> Stored:
        id_ = request.path_params["id"]
        stored = self._connectors.get(id_)
        if stored is None:
            known = f" with the provided connector id: {id_}" if self._connectors.exists else ""
            raise status_exception(404, f"Failed to find connector{known}")
        return stored

    def _models_using(self, id: str, *, deployed_only: bool) -> list[str]:
        """The plugin asks with a `match` on a text field, so models of a connector whose id shares a word count too.

        Equal matches come in no promised order; it is the one that was recorded.
        """
        wanted = set(tokens(id))
        models = self._models.all()
        return [
            model.id
            for model in (reversed(models) if self._box.is_3x else models)
            if not wanted.isdisjoint(tokens(model.body["connector_id"]))
            and (not deployed_only or model.body["model_state"] in DEPLOYED)
        ]

    def _check(self, body: dict[str, Any]) -> None:
        for name in ("name", "version", "protocol"):
            if body.get(name) is None:
                raise illegal_argument(f"Connector {name} is null")
        if not isinstance(body.get("credential"), dict) or not body["credential"]:
            raise illegal_argument("Connector credential is null or empty list")
        if self._box.is_3x and not NAME_RULE.fullmatch(str(body["name"])):
            reason = (
                "Validation Failed: 1: Model connector name can only contain letters, numbers, spaces, and basic "
                "punctuation (.,!?():@-_'/\");"
            )
            raise OpenSearchError(400, "action_request_validation_exception", reason)
        if any(body.get(name) is not None for name in ACCESS_FIELDS):
            raise illegal_argument(
                "You cannot specify connector access control parameters because the Security plugin or connector "
                "access control is disabled on your cluster."
            )
        if body["protocol"] not in PROTOCOLS:
            if self._box.is_3x:
                reason = f"Unsupported connector protocol. Please use one of [{', '.join(PROTOCOLS)}]"
                raise illegal_argument(reason)
            raise illegal_argument(f"Can't find class for type {body['protocol']}")
        if body["protocol"] == sigv4.PROTOCOL:
            sigv4.check(body["credential"], body.get("parameters") or {})
        elif body["protocol"] != "http":
            raise not_served(f"connectors of the protocol {body['protocol']}")
        self._check_actions(body.get("actions") or [])
        self._check_trust(self._document(body))

    def _check_trust(self, document: dict[str, Any]) -> None:
        trusted = self._settings.value("trusted_connector_endpoints_regex")
        if trusted is None:
            return
        patterns = trusted if isinstance(trusted, list) else [trusted]
        for action in document.get("actions", []):
            url = fill(action["url"], document.get("parameters", {}))
            if not any(re.fullmatch(pattern, url) for pattern in patterns):
                named = "" if self._box.is_3x else f", URL is: {url}"
                reason = "Connector URL is not matching the trusted connector endpoint regex"
                raise illegal_argument(reason + named)

    def _check_actions(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            given = action.get("action_type")
            if given is None:
                raise illegal_argument("action type can't be null")
            if str(given).upper() not in ACTION_TYPES:
                enum = "org.opensearch.ml.common.connector.ConnectorAction.ActionType"
                raise illegal_argument(f"No enum constant {enum}.{str(given).upper()}")
            for name in ("url", "method"):
                if action.get(name) is None:
                    raise illegal_argument(f"{name} can't be null")

    def _document(self, body: dict[str, Any]) -> dict[str, Any]:
        """As it is stored: parameters as text, action types in capitals, fields it does not know left out."""
        kept = {key: body[key] for key in KEPT if body.get(key) is not None}
        if "version" in kept:
            kept["version"] = str(kept["version"])
        if "parameters" in kept:
            kept["parameters"] = {key: as_text(value) for key, value in kept["parameters"].items()}
        if "actions" in kept:
            kept["actions"] = [{**action, "action_type": action["action_type"].upper()} for action in kept["actions"]]
        return kept | {"last_updated_time": now_ms()}


def _used(ids: list[str], advice: str) -> str:
    return f"{len(ids)} models are still using this connector, {advice}: [{', '.join(ids[:MOST_IDS_NAMED])}]"
