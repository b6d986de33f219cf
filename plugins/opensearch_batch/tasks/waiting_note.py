"""WaitingNote: what a waiting bundle's last look saw, as XCom `waiting` of its sensor, for the page of all batches. A
triggerer is the only process that knows.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.xcom import XCom

from opensearch_batch.wait.progress import Looked

WAITING = "waiting"
EVERY_SECONDS = 60
"""The shortest time between two notes of a bundle: a note is a row written to Airflow's database."""

log = logging.getLogger(__name__)


@dataclass
class WaitingNote:
    """`ti` is the sensor's task instance; None outside a triggerer, where nothing is noted."""

    ti: Any
    _noted: Looked | None = None

    async def note(self, looked: Looked) -> None:
        """Note a look that saw something new. A note that Airflow refuses is logged: the wait goes on."""
        if self.ti is None or not self._is_news(looked):
            return
        self._noted = looked
        index = -1 if self.ti.map_index is None else self.ti.map_index
        named = {"dag_id": self.ti.dag_id, "task_id": self.ti.task_id, "run_id": self.ti.run_id, "map_index": index}
        try:
            await XCom.aset(WAITING, looked.to_dict(), **named)
        except AirflowRuntimeError as error:
            log.warning("the page of all batches lags: %s", error)

    def _is_news(self, looked: Looked) -> bool:
        before = self._noted
        if before is None:
            return True
        return looked.rows_done != before.rows_done and looked.seen_at - before.seen_at >= EVERY_SECONDS
