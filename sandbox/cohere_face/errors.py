"""Errors as Cohere words them: one message. https://docs.cohere.com/reference/errors"""

from __future__ import annotations


class CohereError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def to_dict(self) -> dict[str, str]:
        return {"message": self.message}
