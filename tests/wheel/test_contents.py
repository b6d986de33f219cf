"""What is in the wheel, and that each fact in it stands in one place."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

import pytest

import opensearch_batch
from opensearch_batch.providers import PROVIDERS
from stack.airflow import CHECKOUT
from tests.wheel.conftest import PACKAGE

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def about(installed: Path) -> PathDistribution:
    [folder] = installed.glob("*.dist-info")
    return PathDistribution(folder)


def test_the_package_is_in_it_whole_and_nothing_else(wheel: Path) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    code = {path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")}
    assert code <= names
    others = {name for name in names - code if not name.parts[0].endswith(".dist-info")}
    assert others == {Path("opensearch_batch/CHANGELOG.md"), Path("opensearch_batch/py.typed")}


def test_two_builds_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    from stack.wheel import build

    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_version_is_the_packages_and_the_changelog_begins_with_it(about: PathDistribution) -> None:
    changes = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    listed = re.findall(r"^## (\d\S*?),? ", changes, flags=re.MULTILINE)
    assert about.version == opensearch_batch.__version__ == listed[0]


def test_it_needs_what_requirements_txt_lists_and_boto3_with_an_extra_only() -> None:
    lines = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    optional = {line.removeprefix("# ") for line in lines if re.match(r"# \S+>=", line)}
    extras = PROJECT["optional-dependencies"]
    boto3 = listed - set(PROJECT["dependencies"])
    assert [line.partition(">=")[0] for line in boto3] == ["boto3"]
    assert listed - boto3 == set(PROJECT["dependencies"])
    for_pip_alone = {"aiobotocore[boto3]>=3"}
    assert set().union(*(extras[name] for name in extras if name != "all")) == optional | boto3 | for_pip_alone


def test_the_extra_all_is_all_of_them() -> None:
    extras = PROJECT["optional-dependencies"]
    assert extras["all"] == [f"opensearch-batch[{','.join(name for name in extras if name != 'all')}]"]


def test_each_provider_is_an_entry_point(about: PathDistribution) -> None:
    group = [point for point in about.entry_points if point.group == "opensearch_batch.providers"]
    assert {point.name: point.load() for point in group} == {each.NAME: each for each in PROVIDERS}


def test_every_entry_point_leads_somewhere(about: PathDistribution) -> None:
    groups = {point.group: point for point in about.entry_points}
    assert set(groups) == {"apache_airflow_provider", "airflow.plugins", "opensearch_batch.providers"}
    loaded = list(map(EntryPoint.load, about.entry_points))
    assert None not in loaded


def test_what_every_process_reads_at_its_start_is_cheap() -> None:
    code = (
        "import sys, opensearch_batch.provider_info as info\n"
        "info.get_provider_info()\n"
        "print(*sorted(name for name in sys.modules if 'airflow' in name or 'pydantic' in name or '_batch.' in name))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert found.stdout.split() == ["opensearch_batch.provider_info"]
