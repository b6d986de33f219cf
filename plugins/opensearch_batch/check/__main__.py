"""Check what a run of a spec needs, before the first run; nothing is made, and nothing is paid.

A line each: ok, NOT OK with what to do, or ? where it cannot be known from here. Exit status 1 where a line is NOT OK.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from opensearch_batch.check.lines import Check, Line, lines
from opensearch_batch.check.of_spec import spec_checks
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec


def main(argv: list[str] | None = None) -> int:
    given = _arguments(argv)
    bad = 0
    for line in _lines(given):
        print(line, flush=True)
        bad += line.mark == "NOT OK"
    print(f"{bad} not ok" if bad else "nothing is wrong that could be known from here")
    return 1 if bad else 0


def _lines(given: argparse.Namespace) -> Iterator[Line]:
    try:
        spec = BatchSpec.load(given.spec)
    except SpecError as error:
        yield Line("spec", "NOT OK", str(error))
        return
    yield Line("spec", "ok", f"{given.spec}: {spec.name}, {spec.model.provider} {spec.model.name}")
    if given.spec_only:
        yield from lines(spec_checks(spec, reads_any=False))
        return
    # As Airflow's own commands: connections are read from its database too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    yield from lines(spec_checks(spec))
    yield from lines(_with_airflow(spec, given))


def _with_airflow(spec: BatchSpec, given: argparse.Namespace) -> Iterable[Sequence[Check]]:
    from opensearch_batch.check.of_airflow import (
        airflow_checks,
        default_queue,
        pool_check,
        queues_check,
        triggerer_check,
    )
    from opensearch_batch.submit.admission import pool_name
    from opensearch_batch.tasks.settings import settings_of_spec

    groups = airflow_checks(spec, settings_of_spec(spec), given.partition)
    if spec.limits.max_jobs_in_flight is not None or spec.limits.max_enqueued_tokens is not None:
        groups.append([pool_check(given.pool or pool_name(spec.registered_as))])
    return [*groups, [triggerer_check()], [queues_check([default_queue()])]]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m opensearch_batch.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", metavar="SPEC", help="a spec's YAML file")
    parser.add_argument("--partition", help="plan this partition, e.g. 2026-01-31")
    parser.add_argument("--pool", help="the submit_pool that the DAG names; default: the model's own")
    parser.add_argument("--spec-only", action="store_true", help="only what needs no Airflow, no cluster and no key")
    return parser.parse_args(argv)


if __name__ == "__main__":
    # The lines say it; and Airflow warns of each look at a connection whose type has a "_".
    logging.getLogger("opensearch_batch").setLevel(logging.CRITICAL)
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    sys.exit(main())
