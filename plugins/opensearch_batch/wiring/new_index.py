"""A new index beside an alias's: the tasks that make and fill it, and those that put it in the old index's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import TriggerRule, XComArg

from opensearch_batch.operators import CarryOverOperator, CopyDocumentsOperator, MakeIndexOperator, SwapAliasOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.closing import MAKE
from opensearch_batch.wiring.start import given

SWAP = "swap_alias"
CARRIED = "Brings over what was edited, added or deleted in the old index meanwhile; skipped where nothing was written."
SWAPPED = "Moves the alias to the new index, at once or not at all."


class NewIndex:
    """The tasks around the others that fill a new index beside an alias's: `overrides` lead the others there."""

    def __init__(self, spec: BatchSpec | str, input_uri: Any, overrides: dict[str, Any] | None) -> None:
        its_spec = given(spec)
        make = MakeIndexOperator(task_id=MAKE, spec=its_spec, input_uri=input_uri, overrides=overrides)
        self.overrides: Any = make.output
        self.index = XComArg(make, key="new_index")
        self.copy = CopyDocumentsOperator(task_id="copy_documents", spec=its_spec, new_index=self.index)

    def put_in_place(
        self, spec: Any, plan: Any, written: Sequence[Any], gates: Sequence[Any]
    ) -> tuple[CarryOverOperator, SwapAliasOperator]:
        """Wire what follows when all vectors are in the new index. `gates` fail where the new index must not take the
        old one's place.
        """
        over = CarryOverOperator(
            task_id="carry_over",
            spec=spec,
            new_index=self.index,
            plan=plan,
            trigger_rule=TriggerRule.NONE_FAILED,
            doc_md=CARRIED,
        )
        swap = SwapAliasOperator(
            task_id=SWAP, spec=spec, new_index=self.index, carried_over=over.output, plan=plan, doc_md=SWAPPED
        )
        for task in written:
            task >> over
        for gate in gates:
            gate.trigger_rule = TriggerRule.ALL_SUCCESS
            over >> gate >> swap
        return over, swap
