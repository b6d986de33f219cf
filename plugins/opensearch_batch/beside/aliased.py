"""The one index that an alias leads to, and what stands in the way of moving the alias; each refusal has the line to
paste.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opensearch_batch.cluster.described import About, Send, described
from opensearch_batch.errors import InputError, SpecError


def indices_of(send: Send, alias: str) -> dict[str, About]:
    """Describe each index of an alias. Raise SpecError for the name of an index or of a data stream, InputError where
    there is nothing of that name.
    """
    found = described(send, alias)
    if not found:
        raise InputError(f"there is no alias {alias!r}, and no index of that name")
    if alias in found:
        raise SpecError(
            f"{alias!r} is an index, and only an alias can be moved. Give the index an alias and search by it: POST "
            f"_aliases {_actions({'add': {'index': alias, 'alias': f'{alias}-live'}})}; then name the alias. Or say "
            "write_back.mode: in_place. Nothing was sent."
        )
    if other := [name for name, about in found.items() if alias not in about["aliases"]]:
        raise SpecError(
            f"{alias!r} is a data stream or a pattern ({', '.join(sorted(other)[:3])}), and only an alias can be "
            "moved. A data stream cannot be filled beside: reindex it into an index with an alias first. Nothing was "
            "sent."
        )
    return found


def the_index(send: Send, alias: str) -> tuple[str, About]:
    """Return the only index of an alias. Raise SpecError for several: documents of all of them in one new index could
    have the same ids.
    """
    found = indices_of(send, alias)
    if len(found) > 1:
        names = sorted(found)
        youngest = max(names, key=lambda name: found[name]["settings"]["index"]["creation_date"])
        raise SpecError(
            f"alias {alias!r} leads to {len(names)} indices ({', '.join(names[:5])}), and only an alias of one can be "
            f"moved. If the youngest does not belong there (restores add such), {removal(alias, youngest)} "
            "takes it off. For an alias of several fill each by an alias of its own, or say write_back.mode: in_place."
        )
    [(index, about)] = found.items()
    return index, about


def removal(alias: str, index: str) -> str:
    """The line that takes an alias off an index."""
    action = {"remove": {"index": index, "alias": alias, "must_exist": True}}
    return f"POST _aliases {_actions(action)}"


def moving(alias: str, rule: Mapping[str, Any], left: str, to: str) -> list[dict[str, Any]]:
    """The actions that move an alias with its filter, its routing and its write index, which it would lose."""
    return [
        {"remove": {"index": left, "alias": alias, "must_exist": True}},
        {"add": {**rule, "index": to, "alias": alias}},
    ]


def line_of_move(alias: str, rule: Mapping[str, Any], left: str, to: str) -> str:
    return f"POST _aliases {_actions(*moving(alias, rule, left, to))}"


def _actions(*actions: Mapping[str, Any]) -> str:
    return json.dumps({"actions": list(actions)})
