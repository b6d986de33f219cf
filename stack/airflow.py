"""Airflow's four processes and what they are told: every setting is an environment variable, no file is written.

``airflow standalone`` would start the same four, but never restarts one, and two of them open log servers on every
address.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stack import start
from stack.processes import MARK, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.home import Home

# Where nobody edits DAG files: parsing them anew costs a quarter of what an idle stack spends.
UNCHANGED_FILES = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
}
# Where nobody edits the package either: what its tasks import, loaded once instead of for each of them.
LOADED_ONCE = {
    start.IMPORTS: (
        "opensearch_batch.pipeline opensearch_batch.operators opensearch_batch.sensor opensearch_batch.cluster.hook "
        "genai_prices openai simdjson"
    )
}
CHECKOUT = Path(__file__).resolve().parent.parent
WHEEL = "opensearch-batch"

# The name in /api/v2/monitor/health is the part's with "_" for "-"; the API server is well when it answers.
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


def base_environment(home: Home) -> dict[str, str]:
    """What all parts share: the mark, and the caller's environment; of another Airflow only its connections."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
    kept.pop("PYTHONPATH", None)
    loopback = "127.0.0.1,localhost"
    return kept | {
        MARK: str(home.path),
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONUNBUFFERED": "1",
        # setproctitle would write over the environment, and with it the mark.
        "SPT_NOENV": "1",
    }


def settings(home: Home, database: str, api_port: int, dags: Path, plugins: Path) -> dict[str, str]:
    """``api_port`` needs three settings: workers call the API server at an address of their own."""
    base = f"http://127.0.0.1:{api_port}"
    secrets = home.secrets()
    return {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(api_port),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__SECRET_KEY": secrets["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["jwt"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": secrets["fernet"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
        "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES": "openai_key",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # Stack does it, once for each version of Airflow.
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # A killed part shows, and its work is taken over, after 15 s instead of 30.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD": "15",
        # A worker may notice only at its next heartbeat that a task's process is gone. At the default of 5 s a task
        # deferred for less is resumed before that, taken for lost ("finished with state success, but ... running")
        # and retried: 30 s for nothing.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # On a busy machine the API server's first answers take longer than 5 s, and the task would fail unbegun.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "BATCH_DATA_URI": home.data.as_uri(),
    }


def wheel_version() -> str | None:
    """Of the package that is installed in this Python; None where the checkout's plugins folder has it."""
    try:
        return importlib.metadata.version(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None


def plugins_folder(home: Home) -> Path:
    """The checkout's; beside an installed wheel an empty one, which Airflow would make too."""
    return CHECKOUT / "plugins" if wheel_version() is None else home.airflow / "plugins"


def parts(home: Home, env: Mapping[str, str]) -> dict[str, Part]:
    return {
        name: part(name, arguments, home, env, home.path, runs_tasks=name == "scheduler")
        for name, arguments in COMMANDS.items()
    }


def migration(home: Home, env: Mapping[str, str]) -> Part:
    return part("db-migrate", ["db", "migrate"], home, env, home.path)


def part(
    name: str, arguments: list[str], home: Home, env: Mapping[str, str], folder: Path, *, runs_tasks: bool = False
) -> Part:
    """``folder`` is the working directory: the checkout's folders are no packages of Airflow's processes. With
    ``runs_tasks`` what the tasks import is loaded before.
    """
    # -P: the folder of start.py has a module that is named as Airflow's package is.
    command = [sys.executable, "-P", start.__file__, *arguments]
    if not runs_tasks:
        env = {key: value for key, value in env.items() if key != start.IMPORTS}
    # A triggerer that was stopped early in its life never goes by itself: three seconds are all it gets.
    return Part(name, command, home.logs / f"{name}.log", env, folder, grace_seconds=3)
