"""What one of several machines is called: ``[core] hostname_callable``, as all of them are this machine.

A folder of its own, the only one that Airflow's processes get on their path.
"""

from __future__ import annotations

import os

ADDRESS = "OPENSEARCH_BATCH_STACK_MACHINE"


def address() -> str:
    return os.environ[ADDRESS]
