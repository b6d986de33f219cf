"""The rows of a SQL query over an Airflow connection, fetched a thousand at a time from a cursor in the database."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from opensearch_batch.errors import BatchError, InputError, SpecError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.scrubbing import remember_connection
from opensearch_batch.sources.columns import refuse_missing
from opensearch_batch.sources.rows import Place, Row

SCHEME = "sql://"
FETCH_ROWS = 1000


def sql_rows(uri: str, query: str, wanted: Sequence[str]) -> Generator[Row, None, None]:
    """`uri` is sql:// and the connection's id. Raise InputError for a query that the database refuses."""
    with _told(uri), _connected(uri) as connection:
        # no_parameters: a % in the query is the query's own, for drivers that fill in parameters by %
        result = connection.execution_options(
            stream_results=True, max_row_buffer=FETCH_ROWS, no_parameters=True
        ).exec_driver_sql(query)
        names = list(result.keys())
        refuse_missing(f"{uri}: the query", names, wanted)
        for number, values in enumerate(result.yield_per(FETCH_ROWS), start=1):
            yield Row(dict(zip(names, values, strict=True)), Place(uri, number, "row"))


@contextmanager
def _connected(uri: str) -> Generator[Any, None, None]:
    engine = _hook(uri.removeprefix(SCHEME)).get_sqlalchemy_engine()
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _hook(connection_id: str) -> Any:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    with imported_from("sql", "an input from a database"):
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    connection: Any = BaseHook.get_connection(connection_id)
    remember_connection(connection)
    kind = f"connection {connection_id!r} is of type {connection.conn_type!r}"
    try:
        hook = connection.get_hook()
    except (AirflowException, AttributeError) as error:  # the latter of a type without a hook, as generic
        raise SpecError(
            f"{kind}, which no installed provider of Airflow has a hook for. Install the provider for that database "
            "where tasks run, then store the connection anew: without it Airflow's command line makes the type generic"
        ) from error
    if not isinstance(hook, DbApiHook):
        raise SpecError(f"{kind}, which is no database with SQL")
    return hook


@contextmanager
def _told(uri: str) -> Generator[None, None, None]:
    """Raise the database's errors as ours; the query itself stays out of the text."""
    from sqlalchemy import exc

    try:
        yield
    except (BatchError, GeneratorExit):
        raise
    except exc.DBAPIError as error:
        said = f"{uri}: {type(error.orig).__name__}: {error.orig}".rstrip()
        if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError):
            raise Unavailable(f"{said}. Nothing was sent; the next try asks again") from None
        raise InputError(f"{said}. Correct input.query, or what the connection's user may read") from None
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        raise SpecError(f"{uri}: SQLAlchemy cannot reach this kind of database: {error}") from None
