"""The public tokenizers of OpenAI's models, by https://github.com/openai/tiktoken/blob/main/tiktoken/model.py.

bpe-openai counts as tiktoken does, and its package has the vocabularies: tiktoken fetches them from the network at the
first use.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.util import find_spec
from typing import cast

from opensearch_batch.providers.protocol import Tokenizer

log = logging.getLogger(__name__)

PACKAGE = "bpe_openai"
VOCABULARIES = {
    "text-embedding-": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "gpt-4o": "o200k_base",
    "gpt-4.": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-5": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4": "o200k_base",
}
"""By how a model's name begins; the first that fits."""


def tokenizer(model: str) -> Tokenizer | None:
    name = model.removeprefix("ft:")
    vocabulary = next((found for begin, found in VOCABULARIES.items() if name.startswith(begin)), None)
    return _loaded(vocabulary) if vocabulary else None


@cache
def _loaded(vocabulary: str) -> Tokenizer | None:
    if find_spec(PACKAGE) is None:
        log.info("%s is not installed (pip install 'opensearch-batch[tokens]'): tokens are told by bytes", PACKAGE)
        return None
    from bpe_openai import get_encoding

    return cast("Tokenizer", get_encoding(vocabulary))
