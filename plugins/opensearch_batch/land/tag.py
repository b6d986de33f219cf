"""Tag: the part of a landed file's name that is another for other content. A try that lands the same again writes the
same names, and no try overwrites a file that the manifest of a complete run names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from opensearch_batch.storage import open_binary


def tag_of(*parts: str, uris: Iterable[str] = ()) -> str:
    """Return eight hex digits of `parts` and of the content of the objects `uris`, which are read once."""
    digest = hashlib.sha256("|".join(parts).encode())
    for uri in uris:
        with open_binary(uri) as source:
            hashlib.file_digest(source, lambda: digest)  # type: ignore[arg-type]  # of a buffered reader
    return digest.hexdigest()[:8]
