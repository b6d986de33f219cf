"""Vectors from wordllama's bundled weights: real, small, the same on every run and without network.

Pooling is done here and not by `WordLlama.embed`: that pads every text of a batch to the longest, so one long row would
cost gigabytes. The vectors are the same (mean of the token rows, L2 norm 1).
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.importing import IMPORTING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS = 256
# OpenAI's limit for one input of its embedding models; https://platform.openai.com/docs/guides/embeddings
MAX_TOKENS = 8192
_CELLS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Weights:
    tokenizer: Any
    rows: NDArray[np.float32]


@functools.lru_cache(maxsize=1)
def _load() -> Weights:
    # Importing it calls logging.basicConfig, which leaves a root logger alone that has a handler.
    quiet = logging.NullHandler()
    logging.getLogger().addHandler(quiet)
    try:
        import wordllama
        from wordllama import WordLlama
    finally:
        logging.getLogger().removeHandler(quiet)

    # The wheel keeps its tokenizer where plain load() does not look, and would then ask the network.
    folder = Path(wordllama.__file__).parent
    model = WordLlama.load(trunc_dim=DIMENSIONS, cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return Weights(model.tokenizer, model.embedding)


def load() -> Weights:
    """Takes about a second the first time in a process."""
    with IMPORTING:
        return _load()


def tokenize(texts: list[str]) -> list[list[int]]:
    encoded = load().tokenizer.encode_batch(texts, is_pretokenized=False, add_special_tokens=False)
    return [item.ids for item in encoded]


def vectors(tokens: list[list[int]], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """One unit vector a text; a shorter one is the longer one's head, normed again."""
    import numpy as np

    found = np.zeros((len(tokens), DIMENSIONS), dtype=np.float32)
    begin = 0
    while begin < len(tokens):
        end, cells = begin, 0
        while end < len(tokens) and (end == begin or cells + len(tokens[end]) <= _CELLS_AT_ONCE):
            cells += len(tokens[end])
            end += 1
        _pool(tokens, begin, end, found)
        begin = end
    cut = np.ascontiguousarray(found[:, :dimensions])
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    norms[norms == 0] = 1
    normed: NDArray[np.float32] = (cut / norms).astype(np.float32)
    return normed


def _pool(tokens: list[list[int]], begin: int, end: int, found: NDArray[np.float32]) -> None:
    import numpy as np

    held = [index for index in range(begin, end) if tokens[index]]
    if not held:
        return
    flat = np.concatenate([np.asarray(tokens[index], dtype=np.int64) for index in held])
    lengths = np.asarray([len(tokens[index]) for index in held])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    rows = load().rows
    sums = np.add.reduceat(rows[np.clip(flat, 0, len(rows) - 1)], starts, axis=0)
    found[held] = sums / lengths[:, None].astype(np.float32)
