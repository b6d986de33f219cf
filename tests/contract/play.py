"""What happened between the recorded exchanges: what the provider was told, settings, waits, kills.

The plays recorded only the calls they were about. `BEFORE` holds the rest, by the exchange it comes before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.contract.scripted_provider import Answer
from tests.patience import until

if TYPE_CHECKING:
    from tests.contract.replay import Replay

Step = Callable[["Replay"], None]
COMPLETED_REGEX = "remote_job.status_regex.completed"
HTML = {"Content-Type": "text/html"}
LOOK_ALIKE = "{}-Ee-{}"
NOT_ALIKE = "{}_Ee_{}"


def message(text: str) -> dict[str, Any]:
    return {"error": {"message": text}}


def setting(name: str, value: Any) -> Step:
    body = {"transient": {f"plugins.ml_commons.{name}": value}}
    return lambda replay: replay.cluster.ok("PUT", "/_cluster/settings", body)


def submit(answer: Answer | None) -> Step:
    def tell(replay: Replay) -> None:
        replay.script.submit = answer

    return tell


def batch(of: str, status: str, **merge: Any) -> Step:
    """The batch that the exchange `of` made, from now on."""

    def tell(replay: Replay) -> None:
        id_ = replay.batch_id(of)
        replay.script.answers.pop(id_, None)
        replay.script.batches[id_].update(status=status, **merge)

    return tell


def look(of: str, status: int, body: Any, headers: dict[str, str] | None = None) -> Step:
    """What the provider says to a look at that batch, instead of the batch."""

    def tell(replay: Replay) -> None:
        replay.script.answers[replay.batch_id(of)] = Answer(status, body, headers or {})

    return tell


def cancel(of: str, status: int, body: Any) -> Step:
    def tell(replay: Replay) -> None:
        replay.script.cancels[replay.batch_id(of)] = Answer(status, body)

    return tell


def undeploy_the_others(replay: Replay) -> None:
    """All models but the first two."""
    for model_id in replay.other_models():
        replay.cluster.ok("POST", f"/models/{model_id}/_undeploy")


def delete_the_others(replay: Replay) -> None:
    undeploy_the_others(replay)
    for model_id in replay.other_models():
        replay.cluster.ok("DELETE", f"/models/{model_id}")


def background_job(replay: Replay) -> None:
    """One round of it; a real server takes one a minute."""
    replay.cluster.ok("POST", "/_sandbox/poll")


def two_with_one_key(replay: Replay) -> None:
    """They came at the same moment; here one after the other, in the order in which their tasks were found."""
    for hit in replay.recorded("504")["hits"]["hits"]:
        replay.number_the_next_batch(hit["_source"]["remote_job"])
        replay.cluster.submit(replay.model_of("502"), "file-1", idempotency_key="k-race")


def alike(pattern: str) -> Step:
    """Documents with ids made by hand: two connectors, and a model that uses the second."""
    ours, other = pattern.format("aaaaaaaa", "zzzzzzzz"), pattern.format("bbbbbbbb", "yyyyyyyy")

    def write(replay: Replay) -> None:
        connector = replay.document(".plugins-ml-connector", replay.connector_of("401"))
        for id_ in (ours, other):
            replay.write(".plugins-ml-connector", id_, connector)
        model = {"name": "m", "model_state": "REGISTERED", "connector_id": other, "model_group_id": "g"}
        replay.write(".plugins-ml-model", f"m-{other}", model)

    return write


def without_model(pattern: str) -> Step:
    return lambda replay: replay.erase(".plugins-ml-model", "m-" + pattern.format("bbbbbbbb", "yyyyyyyy"))


def deployed_model_uses(pattern: str) -> Step:
    def write(replay: Replay) -> None:
        connector = replay.document(".plugins-ml-connector", replay.connector_of("411"))
        replay.write(".plugins-ml-connector", pattern.format("aaaaaaaa", "zzzzzzzz"), connector)
        model = replay.document(".plugins-ml-model", replay.model_of("412"))
        model["connector_id"] = pattern.format("bbbbbbbb", "yyyyyyyy")
        replay.write(".plugins-ml-model", replay.model_of("412"), model)

    return write


def restart(replay: Replay) -> None:
    """The old node of 2.19.6 did not have its master key in time for the first look, so that is ordered."""
    replay.box.stop()
    replay.box.start()
    if not replay.is_3x:
        replay.cluster.fault("master_key_timeout", method="GET", path="/_plugins/_ml/tasks/")


def wait_until_deployed(replay: Replay) -> None:
    while replay.deploying:
        model_id = replay.deploying.pop()
        until(lambda: replay.cluster.state(model_id), lambda state: state == "DEPLOYED")  # noqa: B023


FINISHED = {"output_file_id": "file-out", "request_counts": {"total": 3, "completed": 3, "failed": 0}}
BOOM = {"errors": {"data": [{"code": "e", "message": "boom"}]}}

# As the recorded server was started.
TRUSTED = setting("trusted_connector_endpoints_regex", [r"^http://localhost:.*$", r"^http://127\.0\.0\.1:.*$"])

BEFORE: dict[str, tuple[Step, ...]] = {
    "001": (setting("max_batch_inference_tasks", 11), TRUSTED),
    "049": (batch("045", "in_progress"),),
    "050": (batch("045", "finalizing"),),
    "051": (batch("045", "completed", **FINISHED),),
    "055": (batch("045", "in_progress"),),
    "056": (look("045", 404, message("No such batch")),),
    "059": (batch("058", "failed", **BOOM),),
    "065": (batch("064", "expired"),),
    "067": (batch("066", "paused"),),
    "071": (batch("070", "canceled"),),
    "073": (batch("072", "completed_with_errors"),),
    "075": (batch("074", "incomplete"),),
    "077": (batch("076", "error"),),
    "079": (batch("078", "ended"),),
    "088": (batch("086", "cancelled"),),
    "089": (cancel("086", 409, message("Cannot cancel a batch with status 'cancelled'.")),),
    "090": (cancel("086", 202, {"id": "b"}),),
    "091": (cancel("086", 500, "oops"),),
    "097": (look("096", 401, message("Incorrect API key")),),
    "098": (look("096", 404, message("No such batch")),),
    "099": (look("096", 429, message("Rate limit")),),
    "100": (look("096", 500, message("server had an error")),),
    "101": (look("096", 503, "<html>down</html>", HTML),),
    "102": (look("096", 500, ""),),
    "103": (look("096", 200, "not json at all"),),
    "104": (look("096", 200, ""),),
    "105": (look("096", 200, "[1,2]"),),
    "106": (lambda replay: look("096", 200, {"id": replay.batch_id("096")})(replay),),
    "108": (batch("096", "completed"),),
    "109": (submit(Answer(401, message("Incorrect API key"))),),
    "110": (submit(Answer(400, message("Invalid input_file_id"))),),
    "111": (submit(Answer(429, message("Rate limit"))),),
    "112": (submit(Answer(500, message("server had an error"))),),
    "113": (submit(Answer(503, "<html>down</html>", HTML)),),
    "114": (submit(Answer(500, "")),),
    "115": (submit(Answer(200, "not json at all")),),
    "116": (submit(Answer(200, "")),),
    "117": (submit(Answer(200, "[1,2]")),),
    "118": (submit(None),),
    "120": (submit(Answer(200, {"ok": True})),),
    "121": (submit(None),),
    "123": (submit(Answer(201, {"id": "batch_201", "status": "validating"})),),
    "124": (submit(Answer(202, {"id": "batch_202", "status": "validating"})),),
    "125": (submit(Answer(204, "")),),
    "126": (submit(Answer(302, {"moved": 1}, {"Location": "/v1/other"})),),
    "127": (submit(Answer(lost=True)),),
    "128": (submit(None),),
    "188": (submit(Answer(seconds=5)),),
    "192": (submit(Answer(500, {"error": "x"})),),
    "193": (submit(Answer(429, {"error": "x"})),),
    "194": (submit(Answer(lost=True)),),
    "195": (submit(None), setting("max_batch_inference_tasks", 1)),
    "196": (setting("max_batch_inference_tasks", 11),),
    "199": (setting("offline_batch_inference_enabled", False),),
    "202": (
        setting("offline_batch_inference_enabled", None),
        setting(COMPLETED_REGEX, "(complete|completed|partiallyCompleted|ended)"),
    ),
    "203": (batch("202", "ended"),),
    "204": (setting(COMPLETED_REGEX, None),),
    "210": (undeploy_the_others,),
    "213": (setting("model_auto_deploy.enable", False),),
    "214": (setting("model_auto_deploy.enable", None),),
    "222": (setting("connector.private_ip_enabled", True),),
    "228": (setting("connector.private_ip_enabled", None),),
    "229": (batch("228", "completed"), background_job),
    "240": (delete_the_others,),
    "311": (batch("306", "completed"),),
    "402": (alike(LOOK_ALIKE),),
    "404": (without_model(LOOK_ALIKE),),
    "406": (alike(NOT_ALIKE),),
    "413": (without_model(NOT_ALIKE), deployed_model_uses(LOOK_ALIKE)),
    "414": (deployed_model_uses(NOT_ALIKE),),
    "504": (two_with_one_key,),
    "550-task-get-concurrent-completed-409": (batch("503", "completed"),),
    "550-task-get-concurrent-in_progress-409": (batch("503", "in_progress"),),
    "651": (restart,),
}

# Seen while the model was still on its way to the node.
AT_ONCE = {"029-task-register-model", "030-model-get-at-once"}
# Sixteen calls at once, of which the recorded answer is one.
AT_THE_SAME_MOMENT = {"550-task-get-concurrent-completed-409", "550-task-get-concurrent-in_progress-409"}
