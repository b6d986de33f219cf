"""Where a job's files lie below `files_uri`, for vendors whose jobs read and write S3. A job's folder has its name, so
that one URI tells it all: the id of an input file is the URI of the job's `in/` folder.

    <files_uri>/uploads/<job name>.jsonl    written last: the input is there, whole
    <files_uri>/<job name>/in/              what the job reads
    <files_uri>/<job name>/out/             what it writes
"""

from __future__ import annotations

import re

SUFFIX = ".jsonl"
INPUT, OUTPUT = "in/", "out/"
UPLOADED = "uploads/"

URI = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/=-]*)?$|^\$\{\w+\}.*$"
"""A bucket and a prefix; or one that begins with an environment variable, filled in when a run begins."""


def input_id(files_uri: str, name: str) -> str:
    """`name` is that of a shard's input file, e.g. batch-…-a1.jsonl."""
    return f"{files_uri.rstrip('/')}/{name.removesuffix(SUFFIX)}/{INPUT}"


def job_name(input_file_id: str) -> str:
    """The name of the job that reads this input; of an input elsewhere the last parts of its URI."""
    match = re.search(rf"([^/]+)/{INPUT}$", input_file_id)
    return match[1] if match else re.sub(r"[^A-Za-z0-9]+", "-", input_file_id).strip("-")[-63:].strip("-")


def output_uri(input_file_id: str) -> str:
    """Folder of the job's results."""
    return input_file_id.rstrip("/").removesuffix("/in") + "/" + OUTPUT


def marker_uri(input_file_id: str) -> str:
    base, name = input_file_id.removesuffix(INPUT).rstrip("/").rsplit("/", 1)
    return f"{base}/{UPLOADED}{name}{SUFFIX}"


def is_ours(folder_uri: str) -> bool:
    """Whether a job that this package submitted reads, or writes, this folder."""
    return bool(re.search(rf"/batch-[0-9a-f]{{32}}-a\d+/({INPUT}|{OUTPUT})$", folder_uri))
