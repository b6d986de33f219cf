"""Make mutants with cosmic-ray's operators, in a venv of its own: `made.py SAMPLE SEED FILE …` prints a JSON line each.

SAMPLE 0 is all of them. The same seed makes the same sample of the same code.
"""

import difflib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

NUMBERS = "core/NumberReplacer"
BINARY, COMPARISON = "core/ReplaceBinaryOperator_", "core/ReplaceComparisonOperator_"
OPPOSITES = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "FloorDiv": "Mul",
    "Mod": "Mul",
    "Pow": "Mul",
    "LShift": "RShift",
    "RShift": "LShift",
    "BitOr": "BitAnd",
    "BitAnd": "BitOr",
    "BitXor": "BitAnd",
}
HELD_BY_TYPES = {"frozen=True", "init=False"}
IDENTITY = {"Is", "IsNot"}


def places(path: str) -> Iterator[tuple[str, str, int]]:
    """Yield file, operator and occurrence of each mutant that a test should tell from the code.

    Left out are annotations, which nobody evaluates; `if TYPE_CHECKING`, which is never true; figures of constants,
    which a test can only repeat; and what mypy holds.
    """
    tree = get_ast(Path(path).read_text())
    nodes = list(ast_nodes(tree))
    for name in filter(tells, sorted(operator_names())):
        operator, occurrence = get_operator(name)(), 0
        for node in nodes:
            for _ in operator.mutation_positions(node):
                if not (is_for_types(node) or (name == NUMBERS and in_constant(node)) or is_held_by_types(node)):
                    yield path, name, occurrence
                occurrence += 1


def tells(name: str) -> bool:
    """Tell whether its changes are of use.

    Of a sum, one other operation is enough: the test that tells `-` from `+` tells `<<` too, where that runs at all.
    Identity in place of a comparison of values (and the reverse) is what ruff and mypy hold. Names to put in are not
    at hand.
    """
    old, _, new = name.rpartition("_")
    if name.startswith(BINARY):
        return OPPOSITES[old.removeprefix(BINARY)] == new
    if name.startswith(COMPARISON):
        return (old.removeprefix(COMPARISON) in IDENTITY) == (new in IDENTITY)
    return "Variable" not in name


def is_for_types(node: Any) -> bool:
    return in_annotation(node) or tests_types(node) or in_protocol(node)


def tests_types(node: Any) -> bool:
    return bool(node.type == "if_stmt" and node.children[1].get_code().strip() == "TYPE_CHECKING")


def in_constant(node: Any) -> bool:
    """Tell whether the node stands in an assignment of the module itself."""
    while node.parent is not None and node.parent.type != "file_input":
        node = node.parent
    return bool(node.type == "simple_stmt")


def is_held_by_types(node: Any) -> bool:
    """Tell whether the node is the value of one of HELD_BY_TYPES."""
    return bool(node.parent is not None and node.parent.get_code().strip() in HELD_BY_TYPES)


def in_protocol(node: Any) -> bool:
    """Nobody runs a Protocol's bodies and decorators."""
    while node is not None and node.type != "classdef":
        node = node.parent
    return node is not None and "Protocol" in "".join(each.get_code() for each in node.children[2:-1])


def in_annotation(node: Any) -> bool:
    inner = node
    while (outer := inner.parent) is not None:
        if outer.type == "tfpdef" or (outer.type == "annassign" and outer.children[1] is inner):
            return True
        if outer.type == "funcdef" and inner is outer.annotation:
            return True
        inner = outer
    return False


def mutant(path: str, name: str, occurrence: int) -> dict[str, Any] | None:
    before = Path(path).read_text()
    after = mutate_code(before, get_operator(name)(), occurrence)
    if after is None or after == before:
        return None
    diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    line = int(diff[0].split()[1].lstrip("-").split(",")[0])
    gone = "\n".join(each[1:].strip() for each in diff[1:] if each.startswith("-"))
    come = "\n".join(each[1:].strip() for each in diff[1:] if each.startswith("+"))
    return {"file": path, "line": line, "operator": name, "before": gone, "after": come, "code": after}


def main(sample: int, seed: int, paths: list[str]) -> None:
    found = [place for path in sorted(paths) for place in places(path)]
    chance = random.Random(seed)  # noqa: S311
    order = chance.sample(found, len(found) if not sample else min(sample, len(found)))
    for place in order:
        if made := mutant(*place):
            print(json.dumps(made | {"of": len(found)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
