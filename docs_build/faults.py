"""docs/reference/sandbox-faults.md: the trouble that the sandbox makes on order."""

from __future__ import annotations

from collections.abc import Iterator

from docs_build.tables import MADE, code, table
from sandbox.fault_kinds import KINDS, Kind
from sandbox.faults import FACES

HEAD = f"""# Faults of the sandbox

{MADE}

`POST /_sandbox/faults` orders trouble, `GET` lists what is ordered, `DELETE` clears it. `make up` prints the port.
So the next two batches expire with 60 % of their rows answered:

```sh
curl -d '{{"fault": "expire", "fraction": 0.6, "times": 2}}' http://127.0.0.1:PORT/_sandbox/faults
```

`times` is how often it happens: 1 unless given or unless the table says *always*; -1 is always, until it is cleared.
Faults of a call take `method` and `path` (a regular expression). `every: 3` makes each third call that matches suffer.
`face` is one of {", ".join(map(code, sorted(FACES)))}. A number in brackets is the default. What else the sandbox has:
[its page](../../sandbox/README.md).
"""


def faults_text() -> str:
    jobs = {name: kind for name, kind in KINDS.items() if kind.of_a_job}
    calls = {name: kind for name, kind in KINDS.items() if not kind.of_a_job}
    parts = [
        HEAD,
        "## Of the next job that is made\n",
        table(["fault", "does", "parameters"], _rows(jobs)),
        "\n## Of calls, downloads and deployments\n",
        table(["fault", "does", "parameters"], _rows(calls)),
        "",
    ]
    return "\n".join(parts)


def _rows(kinds: dict[str, Kind]) -> Iterator[tuple[str, str, str]]:
    for name, kind in kinds.items():
        always = " *Always.*" if kind.times == -1 else ""
        parameters = [f"**{code(each)}**" if each in kind.needs else code(each) for each in sorted(kind.takes)]
        yield code(name), kind.does + always, ", ".join(parameters)
