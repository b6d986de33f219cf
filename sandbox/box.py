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

# "3.7" refuses status reads and cancels as releases since 3.7 do, and is 3.6.0 in all else: the refusal was seen on
# 3.6.0 with that one change built in, https://github.com/opensearch-project/ml-commons/pull/4826
PROFILES = ("2.19.6", "3.6.0", "3.7")


# What a node with -Xmx512m says of its heap: a bulk body of more than a tenth of it is refused.
HEAP_BYTES = 518_979_584


@dataclass
class Box:
    """`profile` is the OpenSearch version to answer as; `private_ip_refused` keeps its rule against private targets;
    `host` is what the sandbox listens on; `public_names` are names of loopback that the rule takes for public ones;
    `heap_bytes` is the heap the cluster is said to have.
    """

    state: State
    faults: Faults
    calls: Calls
    pace: Pace
    profile: str
    private_ip_refused: bool
    host: str
    public_names: tuple[str, ...] = ()
    heap_bytes: int = HEAP_BYTES

    @property
    def is_3x(self) -> bool:
        return self.profile.startswith("3.")

    @property
    def forgets_trusted_endpoints(self) -> bool:
        return self.profile == "3.7"

    @property
    def release(self) -> str:
        """The one whose defaults and numbers count."""
        return "3.6.0" if self.profile == "3.7" else self.profile


def open_box(
    folder: Path,
    pace: str,
    profile: str,
    private_ip: str,
    host: str,
    public_names: tuple[str, ...] = (),
    heap_bytes: int = HEAP_BYTES,
) -> Box:
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: one of {', '.join(PROFILES)}")
    if private_ip not in ("allow", "refuse"):
        raise ValueError(f"private_ip {private_ip!r}: allow or refuse")
    state = State(folder)
    return Box(
        state,
        Faults(state),
        Calls(state),
        Pace.parse(pace),
        profile,
        private_ip == "refuse",
        host,
        public_names,
        heap_bytes,
    )
