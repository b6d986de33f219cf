"""Erase documents wherever a spec's runs have brought them, with a proof; a dry run, the default, is the plan."""

from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag

from opensearch_batch.operators import EraseOperator

SPECS = Path(__file__).parent / "specs"
NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))
LIST: dict[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}
QUERY = "Also the documents that this query of OpenSearch finds in the spec's index."
FORGET = "document: it goes from the index. text: it stays, without text, vector and provenance."
UNFINISHED = "Runs that have not ended and have such rows: refuse, or cancel their jobs and remove their files."
UNKNOWN = "Files with such an id, of a run that nobody knows."
PARAMS = {
    "spec": Param(min(NAMES), enum=NAMES, title="Spec", description="Of dags/specs."),
    "ids": Param(None, title="Ids", description="A line each, as results name them.", **LIST),
    "query": Param(None, type=["object", "null"], title="Query", description=QUERY),
    "forget": Param("document", enum=["document", "text"], title="Forget", description=FORGET),
    "dry_run": Param(True, type="boolean", title="Dry run", description="Only the plan. False: the order."),
    "unfinished": Param("refuse", enum=["refuse", "cancel"], title="Unfinished runs", description=UNFINISHED),
    "unknown": Param("refuse", enum=["refuse", "keep", "delete"], title="Unknown runs", description=UNKNOWN),
    "output_uris": Param(None, title="More outputs", description="Folders or globs, beside output.uri.", **LIST),
    "indices": Param(None, title="More indices", description="E.g. a copy of the index.", **LIST),
}
REMOVE = "{{ not params.dry_run }}"
WORDS = {name: f"{{{{ params.{name} }}}}" for name in ("forget", "unfinished", "unknown")}
VALUES = {name: f"{{{{ params.{name} | tojson }}}}" for name in ("ids", "query", "output_uris", "indices")}


@dag(schedule=None, params=PARAMS, max_active_runs=1, tags=["erasure"], doc_md=__doc__)
def erase_documents() -> None:
    EraseOperator(task_id="erase", spec=f"{SPECS}/{{{{ params.spec }}}}.yaml", remove=REMOVE, **WORDS, **VALUES)


erase_documents()
