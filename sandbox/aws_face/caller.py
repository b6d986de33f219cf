"""The caller behind a valid signature, and AWSError, which each service writes in its own protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """`region` and `service` are those of the credential scope: a job lives in the region it was made in."""

    access_key: str
    account: str
    region: str
    service: str


class AWSError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message
