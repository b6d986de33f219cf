"""A YAML file in which no mapping has a key twice: YAML's own readers keep the last, and say nothing of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"


class _Reader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != MERGE]
        seen: set[str] = set()
        for key in keys:
            if key.value in seen:
                why = f"{key.value!r} stands there twice, and the first would not count: make one of both"
                raise yaml.constructor.ConstructorError(None, None, why, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> Any:
    """Return what a file holds. Raise yaml.YAMLError for a file that is no YAML or has a key twice in one mapping, and
    OSError.
    """
    return yaml.load(Path(path).read_text(encoding="utf-8"), _Reader)
