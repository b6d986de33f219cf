"""URLs without what signs them: vendors quote the URL of an image that they cannot fetch, and failures, manifests and
logs have their words.
"""

from __future__ import annotations

import re

from opensearch_batch.scrubbing import MASK

LOGIN = re.compile(r"(?i)(\bhttps?://)[^\s/?#\"<>]*@")
QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"<>]*)\?[^\s\"<>]+")
"""To the end of the word: JSON escapes & and = within."""
DATA = re.compile(r"(?i)(\bdata:[a-z0-9.+-]+/[a-z0-9.+-]+;base64,)[A-Za-z0-9+/=_-]+")


def unsigned(text: str) -> str:
    """Return the text with MASK for the login and the query of each URL, where signatures and tokens stand, and for the
    content of data URLs.
    """
    if "://" in text:
        text = QUERY.sub(rf"\1?{MASK}", LOGIN.sub(rf"\1{MASK}@", text))
    return DATA.sub(rf"\1{MASK}", text) if ";base64," in text else text
