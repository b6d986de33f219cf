"""Where the sandbox differs from the recordings, and why it stays so. One that no longer differs fails the test too."""

from __future__ import annotations

_CAT = "Not served (501): _cat is for people; batch inference asks for none of it."
_JSON = (
    "Status and type agree; the reason is in the words of Python's JSON parser, not of Jackson. No client sends that."
)

KNOWN: dict[str, dict[str, str]] = {
    "2.19.6": {"002-plugins": _CAT, "231-indices": _CAT},
    "3.6.0": {"002-plugins": _CAT, "134-batch-predict-not-json": _JSON, "231-indices": _CAT},
    "3.7": {},
}


def reason_for(profile: str, name: str) -> str | None:
    return KNOWN[profile].get(name)
