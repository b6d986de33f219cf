"""ogx as the provider: a server of OpenAI's Files and Batches APIs that is not ours, before a model server."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from openai import OpenAI

from stack.processes import MARK, Part
from tests.real import ogx_venv

KEY = "sk-ogx-not-a-secret"
MODEL = "local/text-embedding-3-small"
CHAT_MODEL = "local/gpt-4o-mini"


@dataclass
class Ogx:
    """Starts with ``start()`` or as a context manager; the same ``home`` again is the same server, with its jobs.

    It listens on every address of its network namespace, so that a cluster reaches it at a public one and a private
    one. ``models_url`` is the model server's, with its /v1; its models are `local/<id>` here.
    """

    home: Path
    port: int
    models_url: str
    models_key: str
    part: Part | None = field(default=None, init=False)

    def url(self, host: str) -> str:
        """The base URL, with its /v1."""
        return f"http://{host}:{self.port}/v1"

    def start(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        settings = self.home / "run.yaml"
        settings.write_text(yaml.safe_dump(self._settings()))
        env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        # Its log breaks lines at the width of a terminal.
        env |= {"HOME": str(self.home), "COLUMNS": "400", MARK: str(self.home)}
        command = [str(ogx_venv.program()), "run", str(settings)]
        self.part = Part("ogx", command, self.home / "console.log", env, self.home)
        self.part.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self.part is not None:
            self.part.stop()

    def kill(self) -> None:
        assert self.part is not None
        self.part.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def sdk(self) -> OpenAI:
        return OpenAI(base_url=self.url("127.0.0.1"), api_key=KEY, max_retries=0)

    def job(self, job_id: str) -> dict[str, Any]:
        with self.sdk() as client:
            return client.batches.retrieve(job_id).model_dump()

    def jobs(self) -> list[str]:
        with self.sdk() as client:
            return [batch.id for batch in client.batches.list(limit=100)]

    def looks(self, job_id: str) -> int:
        """How often it was asked for this job, by anyone; as its own log of requests says."""
        assert self.part is not None
        return self.part.log.read_text().count(f"GET /v1/batches/{job_id} ")

    def _wait_until_ready(self) -> None:
        assert self.part is not None
        self.part.wait_until(self._is_ready, "does not answer")

    def _is_ready(self) -> bool:
        """Its models are there: it asks the model server for them."""
        try:
            answer = httpx.get(self.url("127.0.0.1") + "/models", headers=_login(), trust_env=False, timeout=5)
        except httpx.TransportError:
            return False
        return answer.is_success and MODEL in answer.text

    def _settings(self) -> dict[str, Any]:
        """https://github.com/ogx-ai/ogx/tree/main/src/ogx/distributions has such files."""

        def table(name: str) -> dict[str, str]:
            return {"table_name": name, "backend": "sql_default"}

        vllm = {"base_url": self.models_url, "api_token": self.models_key}
        files = {"storage_dir": str(self.home / "files"), "metadata_store": table("files_metadata")}
        batches = {"sqlstore": table("batches")}
        return {
            "version": 2,
            "distro_name": "batches",
            "apis": ["batches", "files", "inference"],
            "providers": {
                "inference": [{"provider_id": "local", "provider_type": "remote::vllm", "config": vllm}],
                "files": [{"provider_id": "files", "provider_type": "inline::localfs", "config": files}],
                "batches": [{"provider_id": "batches", "provider_type": "inline::reference", "config": batches}],
            },
            "storage": {
                "backends": {
                    "kv_default": {"type": "kv_sqlite", "db_path": str(self.home / "kv.db")},
                    "sql_default": {"type": "sql_sqlite", "db_path": str(self.home / "sql.db")},
                },
                "stores": {
                    "metadata": {"namespace": "registry", "backend": "kv_default"},
                    **{name: table(name) for name in ("inference", "conversations", "prompts", "connectors")},
                },
            },
            "registered_resources": {"models": []},
            "server": {
                "host": "0.0.0.0",
                "port": self.port,
                "insecure": True,
                "auth": {"provider_config": {"type": "local_api_key", "api_keys": [KEY]}},
            },
        }


def _login() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def connection(url: str, key: str = KEY) -> str:
    """As a person enters it; a base URL with its /v1."""
    return json.dumps({"conn_type": "openai", "host": url, "password": key, "extra": {"allow_plain_http": True}})
