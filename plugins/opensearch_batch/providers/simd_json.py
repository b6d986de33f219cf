"""simdjson, a parser a thread: a parser holds a single document at a time."""

from __future__ import annotations

import threading
from typing import Any


class Parser(threading.local):
    """`parse` gives a document; nothing of the document may outlive the next call."""

    def __init__(self) -> None:
        import simdjson

        self.parse: Any = simdjson.Parser().parse
