"""/_cluster/settings: the few that batch inference and an index of vectors depend on; any other is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.index_face.patterns import by_filter_path
from sandbox.ml_commons_face import bodies
from sandbox.ml_commons_face.errors import not_served

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box

KIND = "cluster_settings"
PREFIX = "plugins.ml_commons."
# An unset list of trusted endpoints is not enforced: the sandbox lets a connector reach nothing but loopback anyway.
DEFAULTS: dict[str, Any] = {
    "max_batch_inference_tasks": {"2.19.6": 10, "3.6.0": 100},
    "model_auto_deploy.enable": True,
    "offline_batch_inference_enabled": True,
    "connector.private_ip_enabled": False,
    "trusted_connector_endpoints_regex": None,
    "remote_job.status_regex.cancelling": "(stopping|cancelling)",
    "remote_job.status_regex.cancelled": "(stopped|cancelled)",
    "remote_job.status_regex.completed": "(complete|completed|partiallyCompleted)",
    "remote_job.status_regex.expired": "(expired|timeout)",
    "remote_job.status_regex.failed": "(failed)",
    # Accepted because the documentation's first steps set it; there is one node and it runs everything.
    "only_run_on_ml_node": False,
}
# Those of k-NN and of disks, which change nothing here: the preflight reads them. Disks are watched nowhere, as on the
# recorded servers.
OTHERS: dict[str, str] = {
    "knn.memory.circuit_breaker.enabled": "true",
    "knn.memory.circuit_breaker.limit": "50%",
    "cluster.blocks.read_only": "false",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "cluster.routing.allocation.disk.watermark.low": "85%",
    "cluster.routing.allocation.disk.watermark.high": "90%",
    "cluster.routing.allocation.disk.watermark.flood_stage": "95%",
}
SCOPES = ("persistent", "transient")


class Settings:
    def __init__(self, box: Box) -> None:
        self._box = box

    def value(self, name: str) -> Any:
        """`name` without its prefix; transient settings win over persistent ones."""
        held = self._held()
        for scope in reversed(SCOPES):
            if name in held[scope]:
                return held[scope][name]
        default = DEFAULTS[name]
        return default[self._box.release] if isinstance(default, dict) else default

    def is_on(self, name: str) -> bool:
        return str(self.value(name)).lower() == "true"

    async def get(self, request: Request) -> Response:
        """With `include_defaults` only the defaults of OTHERS."""
        params, held = request.query_params, self._held()
        if params.get("include_defaults") == "true":
            set_ = {name for kept in held.values() for name in kept}
            held = {**held, "defaults": {name: value for name, value in OTHERS.items() if name not in set_}}
        shape = _flat_texts if params.get("flat_settings") == "true" else _nested
        answer: dict[str, Any] = {scope: shape(kept) for scope, kept in held.items()}
        if filter_path := params.get("filter_path"):
            answer = by_filter_path(answer, filter_path)
        return JSONResponse(answer)

    async def put(self, request: Request) -> Response:
        """Null gives a setting its default back."""
        body = await bodies.read(request)
        if unknown := set(body) - set(SCOPES):
            raise not_served(f"{sorted(unknown)} beside persistent and transient settings")
        held, answer = self._held(), {}
        for scope in SCOPES:
            changes = {_known(name): value for name, value in _flat(body.get(scope) or {}, "").items()}
            merged = held[scope] | changes
            held[scope] = {name: value for name, value in merged.items() if value is not None}
            answer[scope] = _nested({name: value for name, value in changes.items() if value is not None})
        self._box.state.put(KIND, "settings", held)
        return JSONResponse({"acknowledged": True, **answer})

    def _held(self) -> dict[str, dict[str, Any]]:
        stored = self._box.state.get(KIND, "settings")
        return stored.body if stored else {scope: {} for scope in SCOPES}


def _known(name: str) -> str:
    """As it is kept: without the prefix of ML Commons."""
    if name in OTHERS:
        return name
    short = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or short not in DEFAULTS:
        raise not_served(f"the setting {name}")
    return short


def _flat(given: dict[str, Any], path: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{path}.{key}" if path else key
        flat |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return flat


def _nested(kept: dict[str, Any]) -> dict[str, Any]:
    """As OpenSearch prints settings: by their parts, every value as text."""
    nested: dict[str, Any] = {}
    for name, value in kept.items():
        *parents, last = _full(name).split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _text(value)
    return nested


def _flat_texts(kept: dict[str, Any]) -> dict[str, Any]:
    return {_full(name): _text(value) for name, value in kept.items()}


def _full(name: str) -> str:
    return name if name in OTHERS else PREFIX + name


def _text(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list) else str(value).lower()
