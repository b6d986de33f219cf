"""Columns: the fields of a row that a run needs, and the refusal of a table without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from string import Formatter

from opensearch_batch.errors import InputError
from opensearch_batch.image_section import ImageSection
from opensearch_batch.sources.templates import Template, wording_of
from opensearch_batch.spec import BatchSpec


def columns_of(spec: BatchSpec) -> list[str]:
    """Return the names of the fields that the spec asks for, each once."""
    read = spec.input
    wording = wording_of(read)
    asked = [read.text_field] if wording is None else fields_of(wording)
    return list(dict.fromkeys([read.id_field, *asked, *_image_fields(read.images), *spec.output.include]))


def leaves_of(spec: BatchSpec) -> list[str]:
    """Return the dotted paths of the fields that the spec asks of a document, each once, without its id."""
    back = spec.write_back
    stored = [back.hash_field] if back and not back.provenance_index else []
    return list(dict.fromkeys([*text_leaves_of(spec), *image_leaves_of(spec), *spec.output.include, *stored]))


def text_leaves_of(spec: BatchSpec) -> list[str]:
    """Return the dotted paths of the fields of which the text is made."""
    wording = wording_of(spec.input)
    if isinstance(wording, Template):
        return wording.fields
    return [spec.input.text_field] if wording is None else [path_of(name) for name in _named(wording)]


def image_leaves_of(spec: BatchSpec) -> list[str]:
    """Return the dotted paths of the fields that have the images, or of which their URL is made."""
    images = spec.input.images
    if images is None or images.url is None:
        return _image_fields(images)
    return [path_of(name) for name in _named(images.url)]


def _image_fields(images: ImageSection | None) -> list[str]:
    if images is None:
        return []
    return fields_of(images.url) if images.url is not None else [images.field or ""]


def fields_of(prompt: str | Template) -> list[str]:
    """Return the fields of a prompt or a template: `title` for {title}, {title.x} and {title[0]}."""
    if isinstance(prompt, Template):
        return prompt.fields
    return [re.split(r"[.\[]", name, maxsplit=1)[0] for name in _named(prompt)]


def path_of(name: str) -> str:
    """Return the dotted path of a field in a template: meta.title for {meta[title]}."""
    return re.sub(r"\[(\w+)\]", r".\1", name)


def _named(prompt: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(prompt) if name]


def refuse_missing(name: str, there: Iterable[str], wanted: Sequence[str], hint: str = "") -> None:
    """Raise InputError where a table has no column of a wanted name, or two columns of a name."""
    names = list(there)
    missing = [column for column in wanted if column not in names]
    if missing:
        raise InputError(
            f"{name} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}. Correct "
            f"input.id_field, input.text_field, input.prompt, input.template, input.images or output.include{hint}."
        )
    if twice := sorted({column for column in wanted if names.count(column) > 1}):
        raise InputError(f"{name} has several columns named {', '.join(map(repr, twice))}; give each a name of its own")
