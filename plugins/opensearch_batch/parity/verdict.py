"""Verdict: from cosines and found neighbours to figures, and whether the gate is open. Pure."""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Mapping, Sequence
from typing import Literal

from opensearch_batch.flow.parity import NAMED, Parity, first_named
from opensearch_batch.parity_section import ParitySection

NEIGHBOURS = 10
"""Of the recall: so many nearest documents of each query."""
SCORE_TOLERANCE = 1e-6
"""Of a score. Scores are single precision; of documents with one score a search names any. Those of l2 are far below 1
where vectors are long.
"""

Incomparable = Literal["error", "pass"]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two vectors; 0 for vectors of different lengths, and where one is all zeros or has a number
    that is not finite in single precision.
    """
    if len(one) != len(other) or not (_is_finite(one) and _is_finite(other)):
        return 0.0
    lengths = math.sqrt(_product(one, one) * _product(other, other))
    return _product(one, other) / lengths if lengths else 0.0


def _is_finite(vector: Sequence[float]) -> bool:
    return all(map(math.isfinite, array("f", vector)))


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(map(operator.mul, one, other))


def recalled(found: Sequence[str], nearest: Mapping[str, float], scores: Mapping[str, float]) -> float:
    """Return the share of the `nearest` documents, ids with exact scores, that a search has `found`. `scores` are the
    exact scores of found documents; as good as the last of the nearest counts as one of them.
    """
    if not nearest:
        return 1.0
    least = min(nearest.values()) * (1 - SCORE_TOLERANCE)
    good = sum(name in nearest or scores.get(name, 0.0) >= least for name in found[: len(nearest)])
    return good / len(nearest)


def judged(
    cosines: Mapping[str, float],
    recalls: Sequence[float],
    left_out: Mapping[str, Sequence[str]],
    section: ParitySection,
    *,
    why_not: str = "",
    when_incomparable: Incomparable = "error",
) -> Parity:
    """Return the figures, with `shut` where the gate is. `cosines` are by document, `left_out` ids by reason."""
    below = sorted((name for name in cosines if cosines[name] < section.least_cosine), key=cosines.__getitem__)
    recall = math.fsum(recalls) / len(recalls) if recalls else None
    found = {
        "compared": len(cosines),
        "least_cosine": min(cosines.values()) if cosines else None,
        "mean_cosine": math.fsum(cosines.values()) / len(cosines) if cosines else None,
        "below": len(below),
        "named": below[:NAMED],
        "queries": len(recalls),
        "recall": recall,
        "left_out": {reason: len(ids) for reason, ids in left_out.items()},
        "left_out_ids": {reason: list(ids)[:NAMED] for reason, ids in left_out.items()},
        "why_not": "" if cosines else why_not,
    }
    wrong = []
    if not cosines and when_incomparable == "error":
        wrong.append(
            "nothing could be compared. Where this model has no online answers, parity.when_incomparable: pass lets "
            "vectors through unseen"
        )
    if below:
        wrong.append(
            f"{len(below)} of {len(cosines)} vectors are further than {section.least_cosine} (cosine) from the model's "
            f"online answer{first_named(below[0], cosines[below[0]])}"
        )
    if recall is not None and recall < section.least_recall:
        wrong.append(
            f"the index finds {recall:.3f} of the {NEIGHBOURS} nearest documents with k {section.k}, and "
            f"parity.least_recall is {section.least_recall}"
        )
    return Parity(**found, shut="; ".join(wrong))  # type: ignore[arg-type]
