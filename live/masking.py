"""Masking: what a transcript may say of an answer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
LONGEST = 1000
"""Characters of one text that are kept."""

HIDDEN_FIELDS = frozenset(
    {"headers", "authorization", "credential", "credentials", "password", "api_key", "user", "owner"}
)
"""Fields of an answer that are never shown, whatever is in them."""


class Mask:
    """Replaces known secrets wherever they occur, and what looks like one.

    :param secrets: replaced even inside a word.
    :param names: (text, what stands for it); replaced as whole words: a login, a host.
    :param patterns: shapes of keys and account ids that an answer may quote.
    """

    def __init__(
        self, secrets: Iterable[str], names: Iterable[tuple[str, str]] = (), patterns: Iterable[str] = ()
    ) -> None:
        self._secrets = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
        self._names = [(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"), stands) for name, stands in names if name]
        self._patterns = [re.compile(pattern) for pattern in (r"(?i)(?<=bearer )\S+", r"(?i)(?<=basic )\S+", *patterns)]

    def without_names(self) -> Mask:
        """For the person's own screen, where hosts and logins may be read."""
        bare = Mask(self._secrets)
        bare._patterns = self._patterns
        return bare

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        for pattern, stands in self._names:
            text = pattern.sub(stands, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for JSON, field names included; long texts are cut after they were masked."""
        if isinstance(value, str):
            masked = self.text(value)
            return masked if len(masked) <= LONGEST else f"{masked[:LONGEST]}… ({len(masked)} characters)"
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): MASK if str(key).lower() in HIDDEN_FIELDS else self.value(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def hides(self, text: str) -> bool:
        """Whether a known secret occurs in it."""
        return any(secret in text for secret in self._secrets)


def shown(answer: Any) -> Any:
    """An answer without what is nobody's business: of lists and searches the count, of the cluster its version."""
    if not isinstance(answer, Mapping):
        return answer
    if isinstance(answer.get("hits"), Mapping):
        return {"hits": len(answer["hits"].get("hits") or [])}
    if isinstance(answer.get("data"), list):
        return {"entries": len(answer["data"])}
    if isinstance(answer.get("version"), Mapping):
        return {"version": {key: answer["version"].get(key) for key in ("distribution", "number")}}
    return dict(answer)


def basic(login: str | None, password: str | None) -> list[str]:
    """The password of a login, and both as they travel."""
    if not password:
        return []
    return [password, base64.b64encode(f"{login or ''}:{password}".encode()).decode()]


def _forms(secret: str) -> list[str]:
    """As it is, and as a URL or JSON would have it."""
    if not secret:
        return []
    return [secret, quote(secret, safe=""), json.dumps(secret)[1:-1]]
