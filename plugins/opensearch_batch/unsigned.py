"""URLs without what signs them: vendors quote the URL of an image that they cannot fetch, and failures, manifests and
logs have their words.
"""

from __future__ import annotations

import re

from opensearch_batch.scrubbing import MASK

WORD = re.compile(r"[^\s\"<>]+")
SCHEME = re.compile(r"(https?(?::|%3a)(?:\\*/|%2f){2})", re.IGNORECASE)
"""A URL may be escaped, as in a URL or with \\/ in JSON."""
HOST_END = re.compile(r"[/#\\]|%2f", re.IGNORECASE)
LOGIN = re.compile(r".*(?:@|%40)", re.IGNORECASE)
QUESTION = re.compile(r"\?|%3f", re.IGNORECASE)
EQUALS = re.compile(r"=|%3d|\\u003d", re.IGNORECASE)
DATA = re.compile(r"(\bdata:[a-z0-9.+-]+/[a-z0-9.+-]+;base64,)[A-Za-z0-9+/=_-]+", re.IGNORECASE)


def unsigned(text: str) -> str:
    """Return the text with MASK for the login and the query of each URL, where signatures and tokens stand, and for the
    content of data URLs. A query counts without its URL's scheme and host too: requests says "with url: /a.jpg?…". The
    time grows with the length of the text alone.
    """
    if SCHEME.search(text) or QUESTION.search(text):
        text = WORD.sub(_unsigned_word, text)
    return DATA.sub(rf"\1{MASK}", text) if ";base64," in text else text


def _unsigned_word(found: re.Match[str]) -> str:
    """From the first query on all of a word goes: JSON escapes & and = within."""
    made, *parts = SCHEME.split(found[0])
    if (question := QUESTION.search(made)) and EQUALS.search(found[0], question.end()):
        return made[: question.end()] + MASK
    for scheme, address in zip(parts[::2], parts[1::2], strict=True):
        question = QUESTION.search(address)
        plain = address[: question.start()] if question else address
        made += scheme + _without_login(plain)
        if question:
            query = address[question.end() :]
            return made + question[0] + (MASK if query else "")
    return made


def _without_login(address: str) -> str:
    end = HOST_END.search(address)
    host = address[: end.start()] if end else address
    login = LOGIN.match(host)
    return f"{MASK}@{address[login.end() :]}" if login else address
