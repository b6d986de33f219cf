"""The layout of a job's files below `files_uri`, for vendors with jobs over S3. A job's folder is named as the job, and
the id of an input file is the URI of the job's `in/` folder: a single URI tells all.

    <files_uri>/uploads/<job name>.jsonl    written last: the input is complete
    <files_uri>/<job name>/in/              the job's input
    <files_uri>/<job name>/out/             the job's output
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from opensearch_batch.errors import SpecError

SUFFIX = ".jsonl"
INPUT, OUTPUT = "in/", "out/"
UPLOADED = "uploads/"
MADE = ".out"
"""What the vendors add to the name of a file for that of its output."""

URI = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/=-]*)?$|^\$\{\w+\}.*$"
"""A bucket and a prefix; or a URI with an environment variable first, filled in when a run begins."""


def _refuse_no_folder(uri: str) -> str:
    """No storage of Airflow reads these files, but the provider's own connection and the vendor's service."""
    if re.match(URI, uri):
        return uri
    scheme, _, rest = uri.partition("://")
    if scheme == "s3" and "@" in rest:
        connection, _, place = rest.partition("@")
        raise SpecError(
            f"model.job.files_uri names the connection {connection!r}, and jobs' files are reached by the provider's "
            f"connection (connections.provider): write s3://{place}"
        )
    raise SpecError(
        f"model.job.files_uri is a folder in S3, s3://bucket/prefix, of letters, digits and !_.*'()/=-; not {uri!r}"
    )


FilesUri = Annotated[
    str,
    AfterValidator(_refuse_no_folder),
    Field(description="s3://bucket/prefix that the jobs read and write."),
]


def input_id(files_uri: str, name: str) -> str:
    """Return the URI of the job's input folder; `name` is a shard's input file, e.g. batch-…-a1.jsonl."""
    return f"{files_uri.rstrip('/')}/{name.removesuffix(SUFFIX)}/{INPUT}"


def job_name(input_file_id: str) -> str:
    """Return the name of the job over this input; for a foreign input the last parts of the URI."""
    match = re.search(rf"([^/]+)/{INPUT}$", input_file_id)
    return match[1] if match else re.sub(r"[^A-Za-z0-9]+", "-", input_file_id).strip("-")[-63:].strip("-")


def output_uri(input_file_id: str) -> str:
    """Return the URI of the job's output folder."""
    return input_file_id.rstrip("/").removesuffix("/in") + "/" + OUTPUT


def marker_uri(input_file_id: str) -> str:
    base, name = input_file_id.removesuffix(INPUT).rstrip("/").rsplit("/", 1)
    return f"{base}/{UPLOADED}{name}{SUFFIX}"


def is_ours(folder_uri: str) -> bool:
    """Return whether the folder is the input or the output of a job submitted by this package."""
    return bool(re.search(rf"/batch-[0-9a-f]{{32}}-a\d+/({INPUT}|{OUTPUT})$", folder_uri))
