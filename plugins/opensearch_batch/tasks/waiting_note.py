"""WaitingNote: what a waiting bundle's last look saw, as XCom `waiting` of its sensor, for the page of all batches. A
triggerer is the only process that knows.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from airflow.sdk.execution_time.comms import SetXCom

from opensearch_batch.wait.progress import Looked

WAITING = "waiting"
EVERY_SECONDS = 60
"""The shortest time between two notes of a bundle: a note is a row written to Airflow's database."""
NOTED_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass
class WaitingNote:
    """`ti` is the sensor's task instance; None outside a triggerer, where nothing is noted."""

    ti: Any
    _noted: Looked | None = None

    async def note(self, looked: Looked) -> None:
        """Note a look that saw something new. A note that fails, or takes longer than NOTED_SECONDS, is logged: the
        wait goes on.
        """
        if self.ti is None or not self._is_news(looked):
            return
        self._noted = looked
        try:
            await asyncio.wait_for(_write(self.ti, looked), NOTED_SECONDS)
        except Exception as error:  # whatever Airflow raises: a page's figure is worth no wait
            log.warning("the page of all batches lags: %s: %s", type(error).__name__, error)

    def _is_news(self, looked: Looked) -> bool:
        before = self._noted
        if before is None:
            return True
        return looked.rows_done != before.rows_done and looked.seen_at - before.seen_at >= EVERY_SECONDS


async def _write(ti: Any, looked: Looked) -> None:
    """Past an XCom backend, which may upload to object storage in the event loop of all triggers, and whose values the
    page cannot read.
    """
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    index = -1 if ti.map_index is None else ti.map_index
    named = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": index}
    await SUPERVISOR_COMMS.asend(SetXCom(key=WAITING, value=looked.to_dict(), **named))
