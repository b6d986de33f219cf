"""Images: the URLs that a row has for its request. Nothing is fetched, and no URL is in a reason: one may be signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from opensearch_batch import providers
from opensearch_batch.dotted import values_at
from opensearch_batch.image_section import ImageSection
from opensearch_batch.sources.records import ImagesOf, WrongRow, filled
from opensearch_batch.spec import BatchSpec

URL = re.compile(r"https?://[^\s\x00-\x20\x7f\"<>\\\ud800-\udfff]+", re.IGNORECASE)
DATA = re.compile(r"data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}")


def images_of(spec: BatchSpec) -> ImagesOf | None:
    """Return what finds the images of a row, None where the spec has none."""
    model, images = spec.model, spec.input.images
    if images is None:
        return None
    return image_urls(images, providers.get(model.provider).images_a_request(model.name, model.endpoint, images.detail))


def image_urls(section: ImageSection, most: int) -> ImagesOf:
    """Return what finds the images of a row, 1 to `most` of them."""
    name = "input.images.url" if section.field is None else repr(section.field)

    def found(row: Mapping[str, Any]) -> tuple[str, ...]:
        values = _values(section, row)
        if len(values) > most:
            raise WrongRow(f"the row has {len(values)} images in {name}, and a request takes {most}")
        for number, value in enumerate(values, start=1):
            which = f"the image in {name}" if len(values) == 1 else f"image {number} of {len(values)} in {name}"
            if why := _why_no_url(value):
                raise WrongRow(f"{which} {why}")
        return tuple(values)

    return found


def _values(section: ImageSection, row: Mapping[str, Any]) -> list[Any]:
    if section.url is not None:
        return [_made(section.url, row)]
    values = images_at(row, section.field or "")
    if values in ([], [None], [""]):
        have = "it is empty" if section.field in row else f"it has {', '.join(sorted(row))}"
        raise WrongRow(f"the row has no image in {section.field!r} ({have})")
    return values


def _made(template: str, row: Mapping[str, Any]) -> str:
    """A field without a value would stand in the URL as None, or leave a hole."""
    for _, name, _, _ in Formatter().parse(template):
        with suppress(LookupError, AttributeError, TypeError, ValueError):
            value, _ = Formatter().get_field(name or "", (), row)
            if value is None or value == "":
                raise WrongRow(f"input.images.url asks for {name!r}, which is empty")
    return filled(template, row, "input.images.url")


def images_at(row: Mapping[str, Any], field: str) -> list[Any]:
    """Return what a row has in a field, or at a dotted path: photos.url of a list of photos is the URL of each."""
    value = row.get(field)
    if value is None and "." in field:
        return values_at(row, field)
    return list(value) if isinstance(value, list | tuple) else [value]


def _why_no_url(value: Any) -> str | None:
    """Say why a value is no URL of an image; None for one."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, and no URL"
    if value[:5].lower() == "data:":
        return None if DATA.fullmatch(value) else "is a data URL other than data:image/…;base64,…"
    if URL.fullmatch(value) and _has_host(value):
        return None
    return "is no URL: http://…, https://…, or data:image/…;base64,…, without white space"


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # brackets that hold no IPv6 address
        return False
