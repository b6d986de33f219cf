"""What is a vector, in each form that readers give: text, doubles read from the text, singles of base64 or Avro."""

from __future__ import annotations

import math
from array import array

import pytest

from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.vectors import is_vector


@pytest.mark.parametrize(
    ("number", "fits"),
    [
        *((number, True) for number in (0.5, 1.0, 3e38, -3e38)),
        *((number, False) for number in (3.5e38, -3.5e38, math.inf, -math.inf, math.nan)),
    ],
)
@pytest.mark.parametrize("form", ["text", "doubles", "singles"])
def test_a_number_beyond_single_precision_makes_no_vector(number: float, fits: bool, form: str) -> None:
    single = number if abs(number) <= 3.4e38 else math.copysign(math.inf, number)
    vector = {
        "text": Answer("a", vector=f"[0.5,{number!r}]".encode()),
        "doubles": Answer("a", vector=b"[]", numbers=array("d", [0.5, number])),
        "singles": Answer("a", vector=array("f", [0.5, math.nan if math.isnan(number) else single])),
    }[form]
    assert is_vector(vector) is fits


@pytest.mark.parametrize(
    "text", [b"[]", b"[ ]", b"[[0.5]]", b"0.5", b'["0.5"]', b"[null]", b"[true]", b"[false]", b"{}"]
)
def test_json_that_is_no_list_of_numbers_is_no_vector(text: bytes) -> None:
    assert not is_vector(Answer("a", vector=text))
    assert not is_vector(Answer("a", vector=text.replace(b"0.5", b"5e-1")))
