"""Erase rows by id from everywhere a spec's runs have brought them; without --remove only say what would be removed.

The proof is written to the folder `erasures` at the spec's output. Connections come from the same sources as in Airflow
(AIRFLOW_CONN_…, or the configured secrets backend).
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opensearch_batch.errors import BatchError
from opensearch_batch.spec import BatchSpec

if TYPE_CHECKING:
    from opensearch_batch.providers.store import ProviderStore

GOOD, BAD = 0, 1


def main(argv: list[str] | None = None) -> int:
    """Return 0, or 1 where something is left or was refused."""
    from opensearch_batch.erase.erasure import erase
    from opensearch_batch.erase.order import Order

    given = _arguments(argv)
    try:
        order = Order(
            spec=BatchSpec.load(given.spec),
            run=given.run or f"by-hand-{datetime.now(UTC):%Y%m%dT%H%M%S}",
            ids=frozenset(given.ids),
            forget=given.forget,
            dry_run=not given.remove,
            unfinished=given.unfinished,
            unknown=given.unknown,
            output_uris=tuple(given.output_uri),
            indices=tuple(given.index),
        )
        proof = erase(order, _store_of)
    except BatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD
    for place in proof.places:
        print(f"{place.kind} {place.at}: {place.found} of {place.rows} found, {place.left} left")
    for each in proof.not_removed:
        print(f"not removed: {each.what}: {each.why}")
    print(f"{proof}\n{order.proof_uri}")
    return GOOD


def _store_of(spec: BatchSpec) -> ProviderStore:
    from opensearch_batch import providers
    from opensearch_batch.providers.store import open_store_of

    return open_store_of(providers.get(spec.model.provider), spec.provider_connection, spec.model.job)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m opensearch_batch.erase",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", metavar="SPEC", help="a spec's YAML file")
    parser.add_argument("ids", nargs="+", metavar="ID", help="a row's id, as results name it")
    parser.add_argument("--remove", action="store_true", help="remove what is found; default: only the plan")
    parser.add_argument("--forget", choices=["document", "text"], default="document")
    parser.add_argument("--unfinished", choices=["refuse", "cancel"], default="refuse")
    parser.add_argument("--unknown", choices=["refuse", "keep", "delete"], default="refuse")
    parser.add_argument("--output-uri", action="append", default=[], help="a further folder of results, or a glob")
    parser.add_argument("--index", action="append", default=[], help="a further index")
    parser.add_argument("--run", help="name of the proof; the same name goes on after a kill; default: by the time")
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.getLogger("opensearch_batch").setLevel(logging.ERROR)
    sys.exit(main())
