"""The cluster's settings that batches through a connector depend on. Defaults and names:
https://github.com/opensearch-project/ml-commons/blob/main/common/src/main/java/org/opensearch/ml/common/settings/MLCommonsSettings.java
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from opensearch_batch.cluster.advice import TRUSTED, setting
from opensearch_batch.cluster.ml_commons import Call

PREFIX = "plugins.ml_commons."
ON = ("remote_inference.enabled", "offline_batch_inference_enabled")
"""Switches without which no batch is taken; true by default."""
PRIVATE = "connector.private_ip_enabled"
PATH = "/_cluster/settings?include_defaults=true&flat_settings=true"


def read_settings() -> Call:
    """Read the settings; parses to those of ML Commons by name, transient before persistent before default. The least
    role may not: it needs cluster:monitor/settings.
    """
    return Call("read the cluster's settings", "GET", PATH, purpose="read", parse=_effective, timeout_seconds=30)


def _effective(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for scope in ("defaults", "persistent", "transient"):
        flat = dict(_flat(answer.get(scope) or {}, ""))
        found |= {name.removeprefix(PREFIX): value for name, value in flat.items() if name.startswith(PREFIX)}
    return found


def _flat(given: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
    for key, value in given.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, value


def wrong_settings(settings: Mapping[str, Any], urls: Iterable[str]) -> list[str]:
    """Return what would refuse a connector with actions at these URLs, each with the request that changes it. A setting
    that the cluster does not tell is not judged.
    """
    found = [f"{name} is off: {setting(name, True)}" for name in ON if str(settings.get(name, True)).lower() == "false"]
    origins = sorted({f"{url.scheme}://{url.netloc}/" for url in map(urlsplit, urls)})
    patterns = settings.get(TRUSTED)
    trusted = [patterns] if isinstance(patterns, str) else patterns
    for origin in origins:
        if trusted and not any(_matches(pattern, origin) for pattern in trusted):
            more = [*trusted, "^" + origin.replace(".", r"\.") + ".*$"]
            found.append(f"{origin} is no trusted endpoint: {setting(TRUSTED, more)}")
        if _is_private(origin) and str(settings.get(PRIVATE, True)).lower() == "false":
            found.append(f"{origin} is a private address: {setting(PRIVATE, True)}")
    return found


def _matches(pattern: str, origin: str) -> bool:
    """Patterns are Java's; a pattern that Python does not know is left to the cluster. They end in a path mostly."""
    try:
        return re.match(pattern, f"{origin}v1/batches") is not None
    except re.error:
        return True


def _is_private(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
