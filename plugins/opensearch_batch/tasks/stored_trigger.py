"""What both triggers are: arguments that Airflow stores as plain JSON, and one event that the task reads as untrusted
input.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from opensearch_batch.errors import BatchError, SpecError, Terminal, Transient, UnknownAnswer

VERSION = 1
"""Of the arguments and the event: a wait begun before a deploy goes on after it."""


class StoredTrigger(BaseTrigger):
    """Yields one event, then ends: {"version"} and what `wait` returned, or {"version", "error": text, "terminal"}.

    The arguments lie readable in Airflow's database: connections go by id.
    """

    PATH: ClassVar[str]
    """Import path in Airflow's database: a module that stays when rooms move."""
    ARGUMENTS: ClassVar[tuple[str, ...]]
    CONNECTIONS: ClassVar[tuple[str, ...]]
    """Those of the arguments that are ids of connections."""

    def __init__(self, version: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if version != VERSION:
            raise SpecError(
                f"a wait of version {version} cannot go on here (version {VERSION}); clear its task to wait anew"
            )

    @abstractmethod
    async def wait(self) -> dict[str, Any]: ...

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return self.PATH, {"version": VERSION} | {name: getattr(self, name) for name in self.ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            event = await self.wait()
        except AirflowNotFoundException as error:
            event = {"error": str(error), "terminal": True}
        except BatchError as error:
            text = await self._without_secrets(f"{type(error).__name__}: {error}")
            event = {"error": text, "terminal": not isinstance(error, Transient)}
        yield TriggerEvent({"version": VERSION, **event})  # type: ignore[no-untyped-call]

    async def _without_secrets(self, text: str) -> str:
        """Events lie readable in Airflow's database, and a server may echo the key it refuses."""
        for name in self.CONNECTIONS:
            if secret := (await BaseHook.aget_connection(getattr(self, name))).password:
                text = text.replace(secret, "***")
        return text


def read_event(event: Any) -> dict[str, Any]:
    """Raise what the event says went wrong, or UnknownAnswer for one of another version."""
    if not isinstance(event, dict) or event.get("version") != VERSION:
        raise UnknownAnswer(f"event of another version ({str(event)[:200]}); clear this task to wait anew")
    if message := event.get("error"):
        raise (Terminal if event.get("terminal") else Transient)(message)
    return event
