"""Filling in a connector: ${parameters.x} in URL and body, ${credential.x} in headers, by ML Commons' rules.

They were read from the plugin's source (StringUtils, ConnectorUtils, HttpConnector in
https://github.com/opensearch-project/ml-commons) and compared with what real servers sent.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.ml_commons_face.errors import OpenSearchError, illegal_argument

PLACEHOLDER = re.compile(r"\$\{parameters\.([^}]+?)(?::-([^}]*))?\}")
CREDENTIAL = re.compile(r"\$\{credential\.([^}]+)\}")
SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}
MAX_DEPTH = 10
URI_TROUBLE = (
    "Encountered error when trying to create uri from endpoint in ml connector. "
    "Please update the endpoint in connection configuration: "
)


def as_text(value: object) -> str:
    """How a parameter is held: text as it is, anything else as its JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def escape(text: str) -> str:
    """Apache Commons' escapeJson: also "/" and everything beyond ASCII, which is harmless in JSON and breaks a URL."""
    out = []
    for unit in _utf16(text):
        character = chr(unit)
        if character in SHORT_ESCAPES:
            out.append(SHORT_ESCAPES[character])
        elif unit < 0x20 or unit > 0x7F:
            out.append(f"\\u{unit:04X}")
        else:
            out.append(character)
    return "".join(out)


def request_parameters(given: dict[str, Any]) -> dict[str, str]:
    """Parameters of a request: escaped, but for JSON objects and arrays and what `no_escape_params` names."""
    texts = {key: as_text(value) for key, value in given.items()}
    raw = {name.strip() for name in texts.get("no_escape_params", "").split(",")}
    return {key: text if key in raw or _is_structure(text) else escape(text) for key, text in texts.items()}


def fill(text: str, parameters: dict[str, str]) -> str:
    """Placeholders without a value or a default stay as they are."""

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        return parameters.get(name, default if default is not None else match.group(0))

    for name in re.findall(r'"\$\{parameters\.([^}]+?):-null\}"', text):
        if name not in parameters:
            text = text.replace(f'"${{parameters.{name}:-null}}"', "null")
    for _ in range(MAX_DEPTH):
        filled = PLACEHOLDER.sub(value, text)
        if filled == text:
            break
        text = filled
    return text


def payload(template: str, parameters: dict[str, str]) -> str:
    """The request body; raises the 400 that names what is missing or that it is not JSON."""
    filled = fill(template, parameters)
    if not _is_json(filled):
        raise illegal_argument(f"Invalid payload: {filled}")
    missing = list(dict.fromkeys(match.group(1) for match in PLACEHOLDER.finditer(filled)))
    if missing and parameters.get("skip_validating_missing_parameters") != "true":
        raise illegal_argument(f"Some parameter placeholder not filled in payload: {', '.join(missing)}")
    return filled


def address(template: str, parameters: dict[str, str], *, is_3x: bool) -> str:
    """The URL; an unfilled or escaped value makes it one that Java refuses, in words that differ by version."""
    url = fill(template, parameters)
    scheme, _, rest = url.partition("://")
    authority_end = len(scheme) + 3 + re.search(r"[/?#]|$", rest).start() if rest else 0  # type: ignore[union-attr]
    found = re.search(r'[\s"<>\\^`{|}]', url)
    if found is None:
        return url
    index = found.start()
    in_authority = index < authority_end
    if in_authority and not is_3x:
        host = re.match(r"[^/?#:]*", rest).group(0)  # type: ignore[union-attr]
        unknown = ("unknown_host_exception", f"{host}: Name or service not known")
        raise OpenSearchError(500, "m_l_exception", "Fail to execute http connector", cause=(unknown,))
    reason = f"Illegal character in {'authority' if in_authority else 'path'} at index "
    reason += f"{len(scheme) + 3 if in_authority else index}: {url}"
    if is_3x:
        raise illegal_argument(
            URI_TROUBLE, (("illegal_argument_exception", reason), ("u_r_i_syntax_exception", reason))
        )
    raise illegal_argument(reason, (("u_r_i_syntax_exception", reason),))


def headers(templates: dict[str, str], credential: dict[str, str]) -> dict[str, str]:
    """Names that the credential does not have stay literal, as they do in the real thing."""
    return {
        key: CREDENTIAL.sub(lambda match: credential.get(match.group(1), match.group(0)), str(value))
        for key, value in templates.items()
    }


def _utf16(text: str) -> list[int]:
    raw = text.encode("utf-16-be", "surrogatepass")
    return [raw[index] << 8 | raw[index + 1] for index in range(0, len(raw), 2)]


def _is_structure(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    """One JSON value, or one a line."""
    try:
        json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        return len(lines) > 1 and all(_is_json(line) for line in lines)
    return True
