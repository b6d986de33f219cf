"""What the address of a search says, beside its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.index_face.call import Call


def with_params(body: dict[str, Any], call: Call) -> dict[str, Any]:
    """What the address says of the search counts more than the body."""
    made = dict(body)
    params = call.params
    for name in ("size", "from"):
        if (value := call.number(name)) is not None:
            made[name] = value
    for name in ("seq_no_primary_term", "version"):
        if name in params:
            made[name] = call.flag(name)
    if "track_total_hits" in params:
        given = params["track_total_hits"]
        made["track_total_hits"] = int(given) if given.isdigit() else call.flag("track_total_hits")
    if (source := source_of(call)) is not None:
        made["_source"] = source
    return made


def source_of(call: Call) -> Any:
    """The `_source` that the address asks for; None: it says nothing."""
    params = call.params
    includes, excludes = params.get("_source_includes"), params.get("_source_excludes")
    if includes is not None or excludes is not None:
        named = {"includes": includes, "excludes": excludes}
        return {name: value.split(",") for name, value in named.items() if value}
    given = params.get("_source")
    if given is None:
        return None
    return given != "false" if given in ("", "true", "false") else given.split(",")


def beside(call: Call) -> list[tuple[str, str | None]]:
    return [(name, call.params.get(name)) for name in ("routing", "preference")]
