"""A spec that is checked: the printed lines by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from opensearch_batch.check.__main__ import main
from tests.sandbox.bench import MODEL, Run, Server, rows_of

CHAT = {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions", "parameters": {"max_tokens": 50}}


def spec(folder: Path, **sections: Any) -> dict[str, Any]:
    return {
        "name": "before",
        "model": {"name": MODEL, "parameters": {"dimensions": 8}},
        "input": {"uri": f"file://{folder}/in.jsonl"},
        "output": {"uri": f"file://{folder}/out/{{partition}}"},
        "work_uri": f"file://{folder}/work",
        "limits": {"max_jobs_in_flight": 2},
        **sections,
    }


def reading(**fields: Any) -> dict[str, Any]:
    return {"input": {"uri": "file:///in.jsonl", **fields}}


@pytest.fixture
def checked(run: Run, capsys: pytest.CaptureFixture[str], server: Server) -> Any:
    """The exit status and the printed lines by what they are about, with their marks."""

    def check(*arguments: str, **sections: Any) -> tuple[int, dict[str, tuple[str, str]]]:
        path = run.folder / "before.yaml"
        path.write_text(yaml.safe_dump(spec(run.folder, **sections)))
        if not (run.folder / "in.jsonl").exists():
            run.write(rows_of(3))
        status = main([str(path), *arguments])
        printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("ok ", "? ", "NOT OK "))]
        found = {line[8:].partition(": ")[0]: (line[:7].strip(), line[8:].partition(": ")[2]) for line in printed}
        assert server.ledger == []
        assert server.uploads() == []
        assert server.found("connectors") == []
        return status, found

    return check
