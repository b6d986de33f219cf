"""The valid keys: a fixed, made-up key, and the temporary keys of AssumeRole until they expire."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.box import Box

KIND = "aws_temporary_key"
ACCOUNT = "123456789012"
# Plainly made up: they open nothing but a sandbox.
ACCESS_KEY, SECRET_KEY = "AKIASANDBOX", "sandbox-secret-key"
CAPITALS = string.ascii_uppercase + "234567"
WORDS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Key:
    """`token` and `expires_at` (seconds since 1970) are None for a key that lasts."""

    access_key: str
    secret_key: str
    token: str | None = None
    expires_at: float | None = None
    identity: str = f"arn:aws:iam::{ACCOUNT}:user/sandbox"
    issued_at: float = 0.0

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and time.time() >= self.expires_at


class Keys:
    def __init__(self, box: Box) -> None:
        self._box = box

    def find(self, access_key: str) -> Key | None:
        if access_key == ACCESS_KEY:
            return Key(ACCESS_KEY, SECRET_KEY)
        self._expire_what_was_ordered()
        stored = self._box.state.get(KIND, access_key)
        return Key(access_key, **stored.body) if stored else None

    def issue(self, role_arn: str, session: str, seconds: int) -> Key:
        role = role_arn.rpartition("/")[2]
        now = time.time()
        key = Key(
            access_key="ASIA" + _random(CAPITALS, 16),
            secret_key=_random(WORDS, 40),
            token=_random(WORDS, 160),
            expires_at=now + seconds,
            identity=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
            issued_at=now,
        )
        body = {name: value for name, value in vars(key).items() if name != "access_key"}
        self._box.state.put(KIND, key.access_key, body)
        return key

    def _expire_what_was_ordered(self) -> None:
        """Looked at with the next call, and it counts from the order: keys issued after it are good."""
        fault = self._box.faults.take("expire_credentials")
        if fault is None:
            return
        for stored in self._box.state.all(KIND):
            if stored.body["issued_at"] <= fault.ordered_at:
                self._box.state.update(KIND, stored.id, lambda body: body.update(expires_at=0.0))


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
