"""Where indices of the sandbox differ from the recordings, and why it stays so."""

from __future__ import annotations

_JSON = "Status and type agree; the reason is in the words of another JSON parser than Jackson."
_NESTED = "_stats counts documents, not those that Lucene makes of nested objects and of their former versions."
_BM25 = "A term that is found counts 1; the frequency of terms is not weighed."
_TWICE = "A name that is twice in an object is not refused: the last one counts."
_BEYOND = "Where `from` is past the last inner hit, 2.19.6 says that there was none."

_BOTH = {
    "134-odd-vector-nan": _JSON,
    "404-chunks-documents-as-lucene-sees-them": _NESTED,
    "408-chunks-the-whole-block-is-written-again": _NESTED,
    "446-dynamic-dynamic-true-term-on-the-hash": _BM25,
    "450-dynamic-dynamic-true-term-on-the-hash-after-the": _BM25,
    "518-bulk-a-broken-document": _JSON,
    "563-removal-the-same-key-twice": _TWICE,
    "564-removal-get-i2i-remove-doc-4": _TWICE,
}
KNOWN: dict[str, dict[str, str]] = {
    "2.19.6": _BOTH
    | {
        "424-dynamic-dynamic-strict-term-on-the-hash-after-th": _BM25,
        "457-dynamic-term-on-its-keyword": _BM25,
        "723-passages-all-chunks-from-the-second": _BEYOND,
    },
    "3.6.0": _BOTH,
}
