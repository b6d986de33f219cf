"""Secrets taken out of outside words: the cluster, vendors and storages echo keys in their errors, and Airflow masks
whole keys in logs and rendered fields only, not XComs, failures files, manifests and the texts of exceptions.

`remember_connection` where a connection is read; `scrubbed` where outside words enter, before they are cut or stored.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "***"
UNFIT = "\ufffd"

LEAST = 8
"""Characters of the shortest secret that is taken out, the least that OpenSearch's Security plugin accepts by default
(plugins.security.restapi.password_min_length). A shorter one, such as `admin`, is an ordinary word of errors.
"""

MOST = 50
"""So many secrets beside those of connections are remembered, the last: a triggerer runs for months, and tokens last an
hour.
"""

SECRET_NAME = re.compile(
    r"(?i)(key|secret|token|passw(or)?d|pass|pwd|passphrase|authorization|cookie|connection_string|credentials?)$"
)
"""Names of values that are secret, in a connection's extra and in a connector's credential."""

FILE = re.compile(r"\.(pem|key|crt|p12|pfx|json)$")
"""The end of a path under such a name, as `ssl_key`."""

SPOKEN = re.compile(r"[A-Za-z-]+ (\S+)")
"""A header's value that has the key behind a word, such as Bearer."""


@dataclass
class Memory:
    """What this process takes out. Threads remember in turn, and scrub meanwhile: `searched` changes in one step."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    connections: dict[str, tuple[str, ...]] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    """Tokens, and what a connection had before: a wait may still use that."""
    searched: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Signs and forms. A sign is a form within which lies no other form of the secret: a text without any sign has no
    form, and few texts have.
    """

    def keep(self, secrets: tuple[str, ...]) -> None:
        kept = {known: None for known in self.others if known not in secrets} | dict.fromkeys(secrets)
        self.others = dict.fromkeys(list(kept)[-MOST:])

    def renew(self) -> None:
        known = {secret for secrets in (*self.connections.values(), tuple(self.others)) for secret in secrets}
        signs = tuple(sign for secret in known for sign in _signs_of(secret))
        self.searched = signs, tuple(sorted({form for each in known for form in forms_of(each)}, key=len, reverse=True))


_memory = Memory()


def remember_connection(connection: Any) -> None:
    """Remember the secrets of an Airflow connection, for the life of the process."""
    found, name = _long_enough(_secrets_of(connection)), str(connection.conn_id)
    with _memory.turn:
        if (before := _memory.connections.get(name, ())) != found:
            _memory.keep(before)
            _memory.connections[name] = found
            _memory.renew()


def remember(*secrets: str | None) -> None:
    """Remember secrets of a passing kind, as tokens: MOST of them."""
    found = _long_enough(secrets)
    with _memory.turn:
        is_new = not all(secret in _memory.others for secret in found)
        _memory.keep(found)
        if is_new:
            _memory.renew()


def secret_values(named: Mapping[str, str]) -> list[str]:
    """Return the values whose name says that they are secret: of a credential's, the role's ARN is none."""
    return [value for name, value in named.items() if SECRET_NAME.search(name)]


def names_a_secret(extra: Mapping[str, Any]) -> bool:
    """Tell whether one of these headers, or options, is a key."""
    return any(isinstance(value, str) and value and SECRET_NAME.search(name) for name, value in extra.items())


def _long_enough(secrets: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(secret for secret in secrets if secret and len(secret) >= LEAST))


def scrubbed(text: str) -> str:
    """Return the text with MASK for every remembered secret, in each of its forms, and with a mark for what no database
    of Airflow's takes: NUL, and halves of characters.
    """
    signs, forms = _memory.searched
    if any(sign in text for sign in signs):
        for form in forms:
            text = text.replace(form, MASK)
    return text.replace("\0", UNFIT).encode(errors="surrogatepass").decode(errors="replace")


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_json_of_utf8(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_json_of_gson(text: str) -> str:
    """As the cluster writes JSON: https://github.com/google/gson escapes what HTML would take for its own."""
    return re.sub(r"[<>&='\u2028\u2029]", lambda sign: f"\\u{ord(sign[0]):04x}", _in_json_of_utf8(text))


def _in_json_of_php(text: str) -> str:
    return _in_json(text).replace("/", "\\/")


def _in_python(text: str) -> str:
    return repr(text)[1:-1]


def _in_url(text: str) -> str:
    return quote(text, safe="")


def _in_path(text: str) -> str:
    return quote(text)


def _in_form(text: str) -> str:
    return quote_plus(text)


def _in_small_url(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda sign: sign[0].lower(), _in_url(text))


ESCAPES: tuple[Callable[[str], str], ...] = (
    _in_json,
    _in_json_of_utf8,
    _in_json_of_gson,
    _in_json_of_php,
    _in_python,
    _in_url,
    _in_path,
    _in_form,
    _in_small_url,
    html.escape,
)


@lru_cache(4 * MOST)
def forms_of(secret: str) -> frozenset[str]:
    """Return the secret whole, reversed and in base64, each escaped too, and the secret in JSON within JSON."""
    bare = {secret, secret[::-1], *_in_base64(secret)}
    escaped = {escape(text) for text in bare for escape in ESCAPES}
    nested = {within(_in_json_of_utf8(secret)) for within in (_in_json_of_utf8, _in_python)}
    return frozenset(bare | escaped | nested)


@lru_cache(4 * MOST)
def _signs_of(secret: str) -> frozenset[str]:
    forms = forms_of(secret)
    return frozenset(form for form in forms if not any(other in form for other in forms if other != form))


def _in_base64(secret: str) -> Iterator[str]:
    """The signs of base64 that the secret alone decides, wherever it stands in what was encoded, as behind the login
    in a Basic header; and the whole of it, padding included.
    """
    for encoding in ("utf-8", "latin-1"):
        raw = secret.encode(encoding, errors="replace")
        yield base64.b64encode(raw).decode()
        yield base64.urlsafe_b64encode(raw).decode()
        for before in range(3):
            first, end = -(-8 * before // 6), 8 * (before + len(raw)) // 6
            padded = bytes(before) + raw
            yield base64.b64encode(padded).decode()[first:end]
            yield base64.urlsafe_b64encode(padded).decode()[first:end]


def _secrets_of(connection: Any) -> Iterator[str]:
    if connection.password:
        yield connection.password
        if connection.login:
            yield f"{connection.login}:{connection.password}"
    host = connection.host or ""
    yield from _in_address(host if "://" in host else f"//{host}")
    try:
        extra = json.loads(connection.extra or "{}")
    except (TypeError, ValueError):
        return
    yield from _in_extra(extra, is_secret=False)


def _in_extra(value: Any, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _in_extra(inner, is_secret=SECRET_NAME.search(str(name)) is not None)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_extra(inner, is_secret=is_secret)
    elif isinstance(value, str):
        if not is_secret or FILE.search(value):
            yield from _in_address(value)
            return
        yield value
        if spoken := SPOKEN.fullmatch(value):
            yield spoken[1]


def _in_address(text: str) -> Iterator[str]:
    """The password in an address, as of a proxy."""
    try:
        parts = urlsplit(text)
        named = parts.password
    except ValueError:
        return
    if named:
        yield named
        yield unquote(named)
        yield f"{unquote(parts.username or '')}:{unquote(named)}"
