"""fill_embeddings: the embeddings of an index, as one call inside a DAG. Each run sends only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

if TYPE_CHECKING:
    from airflow.sdk import XComArg

SCHEME = "opensearch://"


def fill_embeddings(
    index: str,
    text_fields: str | Sequence[str],
    vector_field: str,
    *,
    model: str | dict[str, Any],
    name: str | None = None,
    output_uri: str = "",
    submit_pool: str | None = None,
    mode: Literal["in_place", "beside"] = "in_place",
    **sections: Any,
) -> XComArg:
    """Wire the tasks that read an index, embed the texts that have no vector of this model, and write each vector into
    its document, unless the document was edited or deleted meanwhile; return the report's output. Example:

        fill_embeddings("articles", ["title", "body"], "embedding", model="text-embedding-3-small")

    :param index: an index or an alias; opensearch://CONNECTION/INDEX for a connection other than opensearch_default.
    :param text_fields: several fields make one text, a line each.
    :param vector_field: of type knn_vector. Beside it stands <vector_field>_provenance, an object field with the
        keyword fields model, text_hash and run; a run that finds no such field prints the line that makes it.
        Where that mapping is not yours to change: write_back={"provenance_index": NAME}.
    :param model: the vendor's model id, or the section `model` of a spec.
    :param name: name of the spec, and of connector and model in OpenSearch; default: fill_INDEX.
    :param output_uri: folder of the results and the manifest; {run_id} and {partition} are filled in. Default:
        ${BATCH_DATA_URI}/NAME/{run_id}.
    :param submit_pool: as for batch_inference.
    :param mode: beside for another model: `index` is then an alias of one index, and a new index takes its place when
        all is there.
    :param sections: other sections and fields of a spec, e.g. limits={"max_cost_usd": 5}.
    """
    uri = index if index.startswith(SCHEME) else f"{SCHEME}opensearch_default/{index}"
    connection, _, index_name = uri.removeprefix(SCHEME).partition("/")
    fields = [text_fields] if isinstance(text_fields, str) else [*text_fields]
    text = {"text_field": fields[0]} if len(fields) == 1 else {"prompt": "\n".join(map(_in_template, fields))}
    name = name or f"fill_{index_name}"
    spec = {
        "name": name,
        "model": {"name": model} if isinstance(model, str) else model,
        "input": {"uri": uri, **text, **sections.pop("input", {})},
        "output": {"uri": output_uri or f"${{BATCH_DATA_URI}}/{name}/{{run_id}}", **sections.pop("output", {})},
        "write_back": {"vector_field": vector_field, "mode": mode, **sections.pop("write_back", {})},
        "connections": {"opensearch": connection, **sections.pop("connections", {})},
        **sections,
    }
    return batch_inference(BatchSpec.check(spec, "fill_embeddings"), submit_pool=submit_pool)


def _in_template(field: str) -> str:
    """A dotted field as a template names it: {meta[title]}."""
    first, *inner = field.split(".")
    return "{" + first + "".join(f"[{name}]" for name in inner) + "}"
