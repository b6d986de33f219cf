"""The benchmarks at a tiny size: what they compare is equal, and they notice where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import landing, parsing, preparing, reuse, unique_ids
from benchmarks.child import prepared
from benchmarks.measure import Benchmark, Cost, Measured, Task, Unequal, run
from benchmarks.results import HEADING, keep, page
from benchmarks.server import serving

SCALE = 0.0002


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    folder = tmp_path_factory.mktemp("benchmarks")
    with serving(folder) as url:
        yield Task(str(folder), url, SCALE)


def results_of(benchmark: Benchmark, task: Task) -> list[dict[str, Any]]:
    prepared(benchmark.make, task)()
    return [prepared(side.call, task)() for side in benchmark.sides]


def cut(path: Path) -> None:
    """The file without its last line."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def spoil_landing(task: Task, results: list[dict[str, Any]]) -> None:
    cut(task.path(landing.READ))


def spoil_download(task: Task, results: list[dict[str, Any]]) -> None:
    cut(task.path(landing.SAVED))


def spoil_numbers(task: Task, results: list[dict[str, Any]]) -> None:
    path = task.path(landing.READ)
    path.write_text(path.read_text().replace("[", "[0.5, ", 1))


def spoil_counts(task: Task, results: list[dict[str, Any]]) -> None:
    results[0]["answered"] -= 1


def spoil_output(task: Task, results: list[dict[str, Any]]) -> None:
    cut(task.path(landing.OUTPUT))


def spoil_served(task: Task, results: list[dict[str, Any]]) -> None:
    """As if one number had been landed wrong."""
    text = task.path(landing.OUTPUT).read_text().replace('"embedding": [', '"embedding": [0.5, ', 1)
    task.path(landing.OUTPUT).write_text(text)
    task.path(landing.SAVED).write_text(text)


def spoil_upload(task: Task, results: list[dict[str, Any]]) -> None:
    results[1]["uploads"] = results[0]["uploads"]


def spoil_ids(task: Task, results: list[dict[str, Any]]) -> None:
    results[1]["checksum"] += 1


def spoil_refusal(task: Task, results: list[dict[str, Any]]) -> None:
    results[0]["refused_at"] = results[1]["refused_at"] = 0


def spoil_found(task: Task, results: list[dict[str, Any]]) -> None:
    results[0]["found"] -= 1


def spoil_merge(task: Task, results: list[dict[str, Any]]) -> None:
    [merged] = task.path(reuse.MERGED).iterdir()
    merged.write_bytes((task.path(reuse.RECORD) / "results-00.parquet").read_bytes())


Spoil = Callable[[Task, list[dict[str, Any]]], None]


@pytest.mark.parametrize(
    ("benchmark", "spoil", "message"),
    [
        (landing.BENCHMARK, spoil_landing, "other rows than the served file"),
        (landing.BENCHMARK, spoil_download, "not the served one"),
        (landing.BENCHMARK, spoil_numbers, "other rows than the served file"),
        (landing.BENCHMARK, spoil_counts, "not every one of 6 rows landed"),
        (landing.PARQUET, spoil_output, "the saved file is not the served one"),
        (landing.PARQUET, spoil_served, "the Parquet file has other rows"),
        (preparing.BENCHMARK, spoil_upload, "other bytes arrived than were written"),
        (unique_ids.BENCHMARK, spoil_ids, "checksum"),
        (unique_ids.BENCHMARK, spoil_refusal, "refused at line 0 instead of 3"),
        (reuse.LOOK_UP, spoil_found, "found"),
        (reuse.MERGE, spoil_merge, "the merged record has"),
    ],
)
def test_both_sides_do_the_same_work_and_a_difference_is_noticed(
    benchmark: Benchmark, spoil: Spoil, message: str, served: Task
) -> None:
    results = results_of(benchmark, served)
    assert prepared(benchmark.check, served, results)() == {}
    spoil(served, results)
    with pytest.raises(Unequal, match=message):
        prepared(benchmark.check, served, results)()


def test_the_command_measures_in_processes_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "RESULTS.md"
    command.main(["unique_ids", "--scale", str(SCALE), "--rounds", "1", "--results", str(told)])
    printed, written = capsys.readouterr().out, told.read_text(encoding="utf-8")
    assert printed.strip() in written
    assert "200 rows" in printed
    assert "Scale 0.0002" in written
    assert "\n## Beside others: unique_ids, scale 0.0002\n" in written
    assert f"`python -m benchmarks unique_ids --scale {SCALE:g} --rounds 1`" in written


def test_a_quick_run_leaves_the_figures_of_the_full_size() -> None:
    assert command.title(unique_ids.BENCHMARK, 1) == "Beside others: unique_ids"
    assert command.title(unique_ids.BENCHMARK, 0.1) == "Beside others: unique_ids, scale 0.1"


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    told = tmp_path / "RESULTS.md"
    for title, text in (("One", "first"), ("Two", "| a table |"), ("One", "second")):
        keep(told, title, text)
    head, one, two = told.read_text(encoding="utf-8").split("\n## ")
    assert head.strip() == HEADING.strip()
    assert (one.startswith("One\n"), "second" in one, "first" in one) == (True, True, False)
    assert "| a table |" in two


def test_a_dag_file_that_does_not_parse_ends_the_benchmark(served: Task) -> None:
    results = results_of(parsing.BENCHMARK, served)
    prepared(parsing.BENCHMARK.check, served, results)()
    results[0]["errors"] = {"dags/batch_inference.py": "SyntaxError"}
    with pytest.raises(Unequal, match="not as many DAGs"):
        prepared(parsing.BENCHMARK.check, served, results)()


def test_a_difference_found_in_a_process_ends_the_run(served: Task) -> None:
    results = results_of(unique_ids.BENCHMARK, served)
    results[1]["rows"] += 1
    with pytest.raises(Unequal, match="checksum"):
        run(unique_ids.BENCHMARK.check, served, results=results)


def test_a_side_that_fails_is_named_with_what_it_said(served: Task) -> None:
    with pytest.raises(RuntimeError, match="unique_ids:absent ended with 1"):
        run("unique_ids:absent", served)


def test_an_idle_process_does_no_work(served: Task) -> None:
    idle = run("unique_ids:on_disk", served, idle=True)
    assert idle["result"] == {}
    assert idle["peak_bytes"] > 1_000_000


def test_the_page_divides_ours_by_each_reference() -> None:
    costs = (Cost(1.0, 2.0, 50_000_000), Cost(4.0, 8.0, 900_000_000), Cost(0.0, 1.0, 0))
    text = page([Measured(landing.BENCHMARK, 1000, 2_000_000, costs)], scale=1, rounds=5, command="x")
    lines = [line for line in text.splitlines() if line.startswith("| fetch")]
    assert [[cell.strip() for cell in line.split("|")][3:-1] for line in lines] == [
        ["1.00 (1,000.0 µs a row)", "4.00 (4,000.0 µs a row)", "0.25 ×", "50", "900", "500", "125"],
        ["1.00 (1,000.0 µs a row)", "0.00 (0.0 µs a row)", "–", "50", "0", "500", "1,000"],
    ]


@pytest.mark.parametrize("wrong", [["nothing"], ["--scale", "0"], ["--rounds", "0"]])
def test_wrong_arguments_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(wrong)
    assert "error:" in capsys.readouterr().err
