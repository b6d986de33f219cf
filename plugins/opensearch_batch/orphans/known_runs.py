"""The runs that an Airflow knows, asked of its database: no task is left that could ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from opensearch_batch.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class KnownRuns:
    """Each question is a new look: a run may come or go meanwhile."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def state(self, dag_id: str, run_id: str) -> str | None:
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        wanted = select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        with self._asked():
            found = self._session.execute(wanted).one_or_none()
        return None if found is None else str(found[0])

    def has_version(self, dag_version: str) -> bool:
        from airflow.models.dag_version import DagVersion
        from sqlalchemy import select

        try:
            wanted = select(DagVersion.id).where(DagVersion.id == UUID(dag_version))
        except ValueError:
            return False
        with self._asked():
            return self._session.execute(wanted).one_or_none() is not None

    @contextmanager
    def _asked(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise Unavailable(
                f"Airflow's database does not tell which runs there are ({type(error).__name__}), so nobody knows "
                "which jobs are owned. Run the command where Airflow's own commands run, e.g. beside the scheduler"
            ) from None
        finally:
            self._session.rollback()


@contextmanager
def known_runs() -> Iterator[KnownRuns]:
    from airflow.utils.session import create_session

    with create_session() as session:
        yield KnownRuns(session)
