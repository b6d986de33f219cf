"""StoredTrigger: the base of both triggers. Airflow stores a trigger's arguments as plain JSON, and a task reads a
trigger's one event as untrusted input.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from opensearch_batch.errors import BatchError, SpecError, Terminal, Transient, UnknownAnswer
from opensearch_batch.foreign_errors import without_keys
from opensearch_batch.scrubbing import remember_connection, scrubbed

VERSION = 1
"""Version of the arguments and the event: a wait begun before a deploy goes on after the deploy."""


class StoredTrigger(BaseTrigger):
    """Yields one event, then ends: {"version"} and the dict from `wait`, or {"version", "error": text, "terminal"}.

    The arguments lie readable in Airflow's database: connections go by id.
    """

    PATH: ClassVar[str]
    """Import path in Airflow's database: a module that stays when rooms move."""
    ARGUMENTS: ClassVar[tuple[str, ...]]
    CONNECTIONS: ClassVar[tuple[str, ...]]
    """Names of the arguments that are ids of connections, one or a list."""

    def __init__(self, version: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.version = version

    @abstractmethod
    async def wait(self) -> dict[str, Any]: ...

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return self.PATH, {"version": self.version} | {name: getattr(self, name) for name in self.ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            self._refuse_another_version()
            await self._know_keys()
            event = await self.wait()
        except AirflowNotFoundException as error:
            event = {"error": str(error), "terminal": True}
        except Exception as error:  # without an event Airflow fails the task, and says nothing of the cause
            event = {"error": await self._told(error), "terminal": isinstance(error, Terminal)}
        yield TriggerEvent({"version": VERSION, **event})  # type: ignore[no-untyped-call]

    def _refuse_another_version(self) -> None:
        """Not in `__init__`: what is raised there, but for a TypeError, ends the triggerer with the waits of all DAGs,
        and again at each of its starts.
        """
        if self.version != VERSION:
            raise SpecError(
                f"a wait of version {self.version} cannot go on here (version {VERSION}); clear its task to wait anew"
            )

    async def _know_keys(self) -> None:
        """Read the keys that no event may show: the cluster relays the provider's words."""
        for name in self.CONNECTIONS:
            named = getattr(self, name)
            for conn_id in filter(None, [named] if isinstance(named, str) else named):
                with suppress(AirflowNotFoundException, PermissionError):  # as in tasks
                    remember_connection(await BaseHook.aget_connection(conn_id))

    async def _told(self, error: Exception) -> str:
        """The error without passwords: events lie readable in Airflow's database, and a server may echo a refused key.

        Where the connections cannot be read the error's type is all that is told.
        """
        kind, told = type(error).__name__, ""
        try:
            await self._know_keys()
            told = scrubbed(f"{kind}: {error}")
        except Exception as unread:
            self.log.warning("no connection to take secrets from: %s", type(unread).__name__)
        if not isinstance(error, BatchError):
            self.log.error("The wait failed in an unforeseen way", exc_info=without_keys(error))
        return told or kind


def read_event(event: Any) -> dict[str, Any]:
    """Return the event. Raise the error the event tells, or UnknownAnswer for an event of another version."""
    if not isinstance(event, dict) or event.get("version") != VERSION:
        raise UnknownAnswer(f"event of another version ({str(event)[:200]}); clear this task to wait anew")
    if message := event.get("error"):
        raise (Terminal if event.get("terminal") else Transient)(message)
    return event
