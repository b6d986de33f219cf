"""No secret in a file that is checked in: each comes from .env, and docker/env.sh makes it."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

from cryptography.fernet import Fernet

from tests.compose.resolved import BASE, CELERY, ROOT

EXAMPLE = ROOT / ".env.example"
FILES = (BASE, CELERY)
SECRETS = {
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_API_SECRET_KEY",
    "AIRFLOW_ADMIN_PASSWORD",
}
# `${NAME:?…}`, `${NAME:-…}`; not the shell's own `$$NAME`.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:?[?+-])?")
SENSITIVE = re.compile(r"^\s*(\w*(?:PASSWORD|SECRET|KEY|TOKEN)\w*): *(\S.*)$", re.MULTILINE)
# That of docker/env.sh's output, of the sandbox, and a path.
HARMLESS = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"}


def read(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def make(path: Path) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "docker" / "env.sh")
    return subprocess.run(["sh", script, str(path)], capture_output=True, text=True, check=False)


def test_the_example_names_every_variable_and_no_other() -> None:
    used = {name for file in FILES for name, _ in VARIABLE.findall(file.read_text())}
    assert used == set(read(EXAMPLE))


def test_every_secret_has_to_be_given() -> None:
    for name in SECRETS:
        operators = {
            operator for file in FILES for found, operator in VARIABLE.findall(file.read_text()) if found == name
        }
        assert operators == {":?"}, name
        assert read(EXAMPLE)[name] == "", name


def test_no_secret_is_written_down() -> None:
    found = [match for file in FILES for match in SENSITIVE.findall(file.read_text()) if match[0] not in HARMLESS]
    assert len(found) >= 5
    assert [name for name, value in found if not value.startswith("${")] == []


def test_the_script_makes_new_ones_for_its_owner_only(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert make(first).returncode == make(second).returncode == 0
    one, other = read(first), read(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert {name for name in one if one[name] != read(EXAMPLE)[name]} == SECRETS
    assert all(one[name] != other[name] for name in SECRETS)
    # Others stand in URLs, where "+", "/" and "@" would mean something.
    assert all(re.fullmatch(r"[0-9a-f]{24,}", one[name]) for name in SECRETS - {"AIRFLOW_FERNET_KEY"})
    key = Fernet(one["AIRFLOW_FERNET_KEY"])
    assert key.decrypt(key.encrypt(b"text")) == b"text"


def test_the_script_leaves_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("mine\n")
    ended = make(path)
    assert ended.returncode == 1
    assert "is there already" in ended.stderr
    assert path.read_text() == "mine\n"
