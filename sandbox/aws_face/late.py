"""What comes into the bucket late, short at first, or may not be read there: as was ordered for the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.errors import trouble
from sandbox.openai_face.files import bytes_without

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

LATE, REFUSED = "aws_late_output", "aws_refused_output"
BESIDE = "manifest.json.out"
"""What lies beside the answers."""


def ordered(box: Box, output: dict[str, Any], faults: dict[str, dict[str, Any]]) -> Path | None:
    """What to write of this output now; None for nothing yet. The rest is kept until it was asked for often enough."""
    path: Path = box.state.work / output["file"]
    is_beside = output["key"].endswith(BESIDE)
    refused = faults.get("refuse_file", {})
    if refused.get("which") == ("error" if is_beside else "output"):
        _keep(box, REFUSED, output, status=int(refused.get("status", 404)))
    if (later := faults.get("file_later")) is not None:
        _keep(box, LATE, output, reads=int(later.get("reads", 1)))
        return None
    if (short := faults.get("rows_later")) is not None and not is_beside:
        _keep(box, LATE, output, reads=int(short.get("reads", 1)))
        return _cut(path, int(short.get("count", 1)))
    return path


def is_kept(box: Box, output: dict[str, Any]) -> bool:
    return box.state.get(LATE, _id(output)) is not None


def asked_for(box: Box, objects: Objects, bucket: str, key: str, prefix: str | None) -> None:
    """Somebody reads this key, or lists this prefix (None: does not list). Raise AWSError for what may not be read."""
    if (found := box.state.get(REFUSED, f"{bucket}/{key}")) is not None:
        if found.body["status"] == 404:
            raise AWSError(404, "NoSuchKey", "The specified key does not exist.")
        raise trouble("s3", "denied")
    for stored in box.state.all(LATE):
        late = stored.body
        is_meant = late["key"] == key if prefix is None else late["key"].startswith(prefix)
        if late["bucket"] != bucket or not is_meant or late["reads"] < 0:
            continue
        if late["reads"] > 0:
            box.state.update(LATE, stored.id, lambda body: body.update(reads=body["reads"] - 1))
            continue
        path = box.state.work / late["file"]
        objects.write(bucket, late["key"], path)
        box.state.delete(LATE, stored.id)
        path.unlink(missing_ok=True)


def _keep(box: Box, kind: str, output: dict[str, Any], **more: int) -> None:
    box.state.put(kind, _id(output), {"bucket": output["bucket"], "key": output["key"], "file": output["file"], **more})


def _id(output: dict[str, Any]) -> str:
    return f"{output['bucket']}/{output['key']}"


def _cut(path: Path, lines: int) -> Path:
    short = path.with_name(f"{path.name}.short")
    with path.open("rb") as whole:
        short.write_bytes(whole.read(bytes_without(path, lines)))
    return short
