"""What the faces share: the state on disk, the pace, the faults on order, the calls seen, the settings of this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.calls import Calls
from sandbox.faults import Faults
from sandbox.pace import Pace
from sandbox.state import State

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = ("2.19.6", "3.6.0")


@dataclass
class Box:
    """`profile` is the OpenSearch version to answer as; `private_ip_refused` keeps its rule against private targets."""

    state: State
    faults: Faults
    calls: Calls
    pace: Pace
    profile: str
    private_ip_refused: bool

    @property
    def is_3x(self) -> bool:
        return self.profile.startswith("3.")


def open_box(folder: Path, pace: str, profile: str, private_ip: str) -> Box:
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: one of {', '.join(PROFILES)}")
    if private_ip not in ("allow", "refuse"):
        raise ValueError(f"private_ip {private_ip!r}: allow or refuse")
    state = State(folder)
    return Box(state, Faults(state), Calls(state), Pace.parse(pace), profile, private_ip == "refuse")
