"""The text of a document: what a run sends for it, and the text's hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearch_batch.dotted import leaf_at, not_an_object, value_at, with_dotted
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.sources.columns import text_leaves_of
from opensearch_batch.sources.hashed import hash_of_documents
from opensearch_batch.sources.images import images_at
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.templates import wording_of
from opensearch_batch.spec import BatchSpec


class DocumentTexts:
    """Texts of documents as a spec's batches send them, before they are cut to the model's limit."""

    def __init__(self, spec: BatchSpec) -> None:
        self._read, self._model = spec.input, hash_of_documents(spec)
        self._wording = wording_of(spec.input)
        self.leaves = text_leaves_of(spec)

    def of(self, source: Mapping[str, Any]) -> tuple[str, str]:
        """Return the whole text, and its hash as it is noted in the document. Raise WrongRow for a document that no
        batch would send.
        """
        fields = dict(source)
        fields |= {name: leaf_at(source, name) for name in self.leaves if "." in name and name not in fields}
        if (filled := filled_in(fields, self.leaves)) is None:
            raise WrongRow("the document has no text")
        text = text_of(filled, self._read.text_field, self._wording)
        return text, text_hash(self._model, text)


def filled_in(fields: dict[str, Any], leaves: Sequence[str], images: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return the fields as a template names them, with "" for what the document does not have; None where no leaf has a
    text, and no field of `images` an image. Raise WrongRow for a list or an object: a template would send it as Python
    prints it. A text in a list of objects counts as a list of texts.
    """
    found = {name: leaf_at(fields, name) for name in leaves}
    for name, value in found.items():
        if isinstance(value, list | dict):
            raise WrongRow(f"{name!r} holds {'a list' if isinstance(value, list) else 'an object'}, and no text")
    others = [value for name in images for value in images_at(fields, name)]
    if all(_is_empty(value) for value in (*found.values(), *others)):
        return None
    lacking = {name: "" if value is None else value for name, value in found.items() if value_at(fields, name) is None}
    for name in lacking:
        if (parent := not_an_object(fields, name)) is not None:
            raise WrongRow(f"{parent!r} holds a list, and no text in {name!r}")
    return with_dotted(fields, lacking) if lacking else fields


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
