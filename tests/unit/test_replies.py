"""What the cluster's answers mean. Wordings are those of OpenSearch 2.19.6 and 3.6.0, and of 3.7 where it differs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.cluster.replies import lost, read_reply
from opensearch_batch.errors import (
    BatchError,
    CannotLook,
    NoRoute,
    NotTaken,
    OutcomeUnknown,
    Refused,
    TaskLimit,
    Terminal,
    Throttled,
    Transient,
    Unavailable,
)

CALLS: dict[str, Call] = {
    "submit": ml_commons.batch_predict("model-1", {"input_file_id": "file-1"}),
    "look": ml_commons.get_task("task-1"),
    "read": ml_commons.search_tasks({"match_all": {}}),
    "write": ml_commons.create_connector({"name": "c"}),
}
EVERY = ("submit", "look", "read", "write")
REMOTE = "Error from remote service: "
SENDING = "Error communicating with remote model: "


def error(reason: str, type_: str = "status_exception", root: str | None = None) -> str:
    causes = [{"type": type_, "reason": root or reason}]
    return json.dumps({"error": {"root_cause": causes, "type": type_, "reason": reason}, "status": 0})


def provider_says(text: str) -> str:
    return error(REMOTE + json.dumps({"error": {"message": text}}))


ANSWERS: list[tuple[tuple[str, ...], int, str, type[BatchError]]] = [
    # The cluster cannot see a job that is fine.
    (
        ("look",),
        400,
        error(
            "Trusted connector endpoints regex is not configured. Please set "
            "plugins.ml_commons.trusted_connector_endpoints_regex.",
            "illegal_argument_exception",
        ),
        CannotLook,
    ),
    (("look",), 400, error("Remote inference host name has private ip address: 10.0.0.1"), CannotLook),
    (("submit",), 400, error("Remote inference host name has private ip address: 10.0.0.1"), Refused),
    # There is no ML Commons, or it is too old.
    (
        EVERY,
        400,
        '{"error":"no handler found for uri [/_plugins/_ml/connectors/_search] and method [POST]"}',
        NoRoute,
    ),
    # Passing trouble of the cluster itself.
    (
        ("submit",),
        400,
        error(
            "all shards failed",
            "search_phase_execution_exception",
            "can not write type [class org.opensearch.ml.common.MLTaskState]",
        ),
        NotTaken,
    ),
    (EVERY, 500, error("Fetching master key timed out.", "m_l_exception"), NotTaken),
    (EVERY, 503, "OpenSearch Security not initialized.", Unavailable),
    (("submit",), 400, error("no eligible node to run predict request", "illegal_argument_exception"), Unavailable),
    (
        ("look",),
        409,
        error("[task-1]: version conflict, required seqNo [3], primary term [1].", "version_conflict_engine_exception"),
        Unavailable,
    ),
    (
        ("submit",),
        429,
        error("Exceeded maximum limit for BATCH_PREDICTION tasks. To increase the limit, update the setting."),
        TaskLimit,
    ),
    # The provider's own answer, relayed under its status.
    (EVERY, 401, provider_says("Incorrect API key provided"), Refused),
    (EVERY, 403, provider_says("Country not supported"), Refused),
    (EVERY, 429, provider_says("Rate limit"), Throttled),
    (("submit",), 500, provider_says("The server had an error"), OutcomeUnknown),
    (("submit",), 503, error(REMOTE + "<html>Service Unavailable</html>"), OutcomeUnknown),
    (("look",), 500, provider_says("The server had an error"), Unavailable),
    (("look",), 503, error(REMOTE + "<html>Service Unavailable</html>"), Unavailable),
    (("submit", "look"), 400, provider_says("No such File object: file-1"), Refused),
    (("look",), 404, provider_says("No batch found with id 'batch_1'."), Refused),
    # Whatever it says: these are the provider's words, not the cluster's.
    (("submit",), 400, provider_says("Fetching master key timed out. no handler found for uri"), Refused),
    (
        ("submit", "look"),
        400,
        error(REMOTE + "The request was denied due to remote server throttling. To change the retry policy …"),
        Throttled,
    ),
    (("submit",), 302, error(REMOTE + '{"moved": 1}'), Refused),
    # The provider may have a job all the same, some of these are 400.
    (("submit",), 400, error("No response from model"), OutcomeUnknown),
    (("submit",), 400, error("Error validating output schema, if you think this is expected, …"), OutcomeUnknown),
    (("submit",), 400, error("Error validating input schema, if you think this is expected, …"), Refused),
    (("submit",), 500, error("Remote service returned error status 500 with empty body"), OutcomeUnknown),
    (("submit",), 502, error("Remote service returned empty response body"), OutcomeUnknown),
    (
        ("submit",),
        400,
        error("Invalid JSON format: Unrecognized token 'not': was expecting …", "illegal_argument_exception"),
        OutcomeUnknown,
    ),
    (("submit",), 500, error("Fail to execute BATCH_PREDICT in aws connector", "m_l_exception"), OutcomeUnknown),
    (("submit",), 500, error("Failed to put data object in index .plugins-ml-task"), OutcomeUnknown),
    (
        ("submit",),
        429,
        error(
            "index [.plugins-ml-task] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, "
            "index has read-only-allow-delete block];",
            "cluster_block_exception",
        ),
        OutcomeUnknown,
    ),
    (("submit",), 500, error(SENDING + "Read timed out"), OutcomeUnknown),
    (
        ("submit",),
        500,
        error(SENDING + "The connection was closed during the request. The request will usually succeed on retry."),
        OutcomeUnknown,
    ),
    # Nothing listened, so nothing was sent.
    (("submit",), 500, error(SENDING + "Connection refused: /198.51.100.10:9"), Unavailable),
    (("look",), 500, error(SENDING + "Connection refused: /198.51.100.10:9"), Unavailable),
    # Settings, rights, things that are not there.
    (("submit", "look"), 500, error("Offline Batch Inference is currently disabled. To enable it, …"), Refused),
    (
        ("look",),
        500,
        error(
            "Please configure the action type to get the batch job details in the connector",
            "unsupported_operation_exception",
        ),
        Refused,
    ),
    (EVERY, 403, error("User Doesn't have privilege to perform this operation on this model"), Refused),
    (
        EVERY,
        403,
        error(
            "no permissions for [cluster:admin/opensearch/ml/predict] and User [name=reader, backend_roles=[]]",
            "security_exception",
        ),
        Refused,
    ),
    (EVERY, 401, "Unauthorized", Refused),
    (("look",), 500, error("You don't have permission to access this batch job", "m_l_validation_exception"), Refused),
    (("look",), 500, error("You don't have permission to cancel this batch job", "m_l_validation_exception"), Refused),
    (("write",), 500, error("You are not allowed to delete this connector", "m_l_validation_exception"), Refused),
    (("write",), 400, error("No permission to undeploy model m1", "illegal_argument_exception"), Refused),
    (("write",), 400, error("You don't have the backend roles specified.", "illegal_argument_exception"), Refused),
    (("submit",), 404, error("Failed to find model"), Refused),
    (("look",), 404, error("Failed to find task"), Refused),
    (("look",), 404, error("Failed to retrieve the ML model for the given task ID"), Refused),
    (
        ("submit",),
        400,
        error("Some parameter placeholder not filled in payload: input_file_id", "illegal_argument_exception"),
        Refused,
    ),
    # Anything else goes by its status.
    (EVERY, 429, "Too Many Requests", Throttled),
    (("submit",), 503, "<html>busy</html>", OutcomeUnknown),
    (("submit",), 504, "", OutcomeUnknown),
    (("look", "read", "write"), 503, "<html>busy</html>", Unavailable),
    (("look", "read", "write"), 504, "", Unavailable),
    (("look", "read", "write"), 408, "", Unavailable),
    (EVERY, 418, "teapot", Refused),
]


def raised(call: Call, status: int, text: str, headers: dict[str, str] | None = None) -> BatchError:
    with pytest.raises(BatchError) as caught:
        read_reply(call, status, text, headers or {})
    return caught.value


@pytest.mark.parametrize(
    ("purpose", "status", "text", "kind"),
    [(purpose, status, text, kind) for purposes, status, text, kind in ANSWERS for purpose in purposes],
)
def test_each_answer_has_its_meaning(purpose: str, status: int, text: str, kind: type[BatchError]) -> None:
    found = raised(CALLS[purpose], status, text)
    assert type(found) is kind, found
    assert found.status == status
    assert f"{CALLS[purpose].name}: HTTP {status}" in str(found)
    assert isinstance(found, Terminal) != isinstance(found, Transient)


OPENAI = {"parameters": {"host": "api.example.com"}, "actions": [{"url": "https://${parameters.host}/v1/embeddings"}]}
SETTINGS = "PUT _cluster/settings "
ILLEGAL = "illegal_argument_exception"
DENIED = "no permissions for [cluster:admin/opensearch/ml/predict] and User [name=reader, backend_roles=[]]"
OFF = 'To enable it, update the setting "plugins.ml_commons.offline_batch_inference_enabled" to true.'

WHAT_TO_DO: list[tuple[str, int, str, str]] = [
    ("read", 401, "Unauthorized", "check the connection's user and password"),
    ("submit", 401, provider_says("bad key"), "rotate_credential"),
    ("submit", 403, error(DENIED, "security_exception"), 'roles.yml: "- cluster:admin/opensearch/ml/predict"'),
    (
        "write",
        403,
        error("no permissions for [a, b] and User [name=reader]", "security_exception"),
        'roles.yml: "- a" "- b".',
    ),
    (
        "submit",
        400,
        error("Remote inference host name has private ip address: 127.0.0.1"),
        SETTINGS + '{"persistent": {"plugins.ml_commons.connector.private_ip_enabled": true}}, then '
        "POST /_plugins/_ml/models/model-1/_undeploy and POST /_plugins/_ml/models/model-1/_deploy.",
    ),
    ("read", 400, '{"error":"no handler found for uri [/x] and method [GET]"}', "GET _cat/plugins must list"),
    (
        "write",
        400,
        error("No enum constant org.opensearch.ml.common.connector.ConnectorAction.ActionType.BATCH_PREDICT", ILLEGAL),
        "upgrade it to 2.17.1",
    ),
    (
        "submit",
        429,
        error("Exceeded maximum limit for BATCH_PREDICTION tasks."),
        SETTINGS + '{"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 100}}',
    ),
    ("look", 500, error("Please configure the action type to cancel the batch job …"), "request_body"),
    ("submit", 404, error("Failed to find model"), "Register it first"),
    (
        "submit",
        500,
        error(f"Offline Batch Inference is currently disabled. {OFF}", "illegal_state_exception"),
        SETTINGS + '{"persistent": {"plugins.ml_commons.offline_batch_inference_enabled": true}}',
    ),
    (
        "write",
        400,
        error("Remote Inference is currently disabled. To enable it, update the setting …"),
        SETTINGS + '{"persistent": {"plugins.ml_commons.remote_inference.enabled": true}}',
    ),
    (
        "write",
        400,
        error("Connector URL is not matching the trusted connector endpoint regex", ILLEGAL),
        SETTINGS + '{"persistent": {"plugins.ml_commons.trusted_connector_endpoints_regex": '
        '["^https://api\\\\.example\\\\.com/.*$"]}}',
    ),
    (
        "write",
        400,
        error("Connector URL is not matching the trusted connector endpoint regex, URL is: http://10.0.0.9:81/v1/x"),
        '["^http://10\\\\.0\\\\.0\\\\.9:81/.*$"]',
    ),
    (
        "submit",
        400,
        error("Model not ready yet. Please deploy the model first.", ILLEGAL),
        "POST /_plugins/_ml/models/model-1/_deploy",
    ),
    ("submit", 403, error("Model is disabled."), 'PUT /_plugins/_ml/models/model-1 {"is_enabled": true}'),
    (
        "submit",
        400,
        error(
            "all shards failed",
            "search_phase_execution_exception",
            "can not write type [class org.opensearch.ml.common.MLTaskState]",
        ),
        'PUT .plugins-ml-task/_settings {"index":{"auto_expand_replicas":"0-all"}}',
    ),
    (
        "submit",
        403,
        error("User Doesn't have privilege to perform this operation on this model"),
        "spec: model: {group: NAME}",
    ),
    (
        "look",
        500,
        error("You don't have permission to access this batch job", "m_l_validation_exception"),
        'PUT /_plugins/_ml/model_groups/GROUP {"access_mode": "restricted", "backend_roles": ["ROLE"]}',
    ),
    (
        "write",
        400,
        error(
            "You cannot specify model access control parameters because the Security plugin or model access control "
            "is disabled on your cluster.",
            ILLEGAL,
        ),
        SETTINGS + '{"persistent": {"plugins.ml_commons.model_access_control_enabled": true}}',
    ),
]


@pytest.mark.parametrize(("purpose", "status", "text", "advice"), WHAT_TO_DO)
def test_a_refusal_says_what_to_do(purpose: str, status: int, text: str, advice: str) -> None:
    call = ml_commons.create_connector(OPENAI) if purpose == "write" else CALLS[purpose]
    assert advice in str(raised(call, status, text))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
            '{"verify": "/path/to/ca.pem"}',
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid "
            "for 'search'.",
            "the connection's host",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "has expired:"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", 'schema to "http"'),
    ],
)
def test_tls_that_is_refused_is_not_tried_again(text: str, advice: str) -> None:
    found = lost(CALLS["submit"], OSError(text), sent=True)
    assert type(found) is Terminal
    assert advice in str(found)


def test_the_root_causes_are_part_of_the_reason() -> None:
    text = error("all shards failed", "search_phase_execution_exception", "the real reason")
    assert "all shards failed; the real reason" in str(raised(CALLS["read"], 500, text))


def test_a_long_answer_is_cut() -> None:
    assert len(str(raised(CALLS["read"], 500, "x" * 100_000))) < 1000


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("1.5", 1.5)])
def test_the_pause_that_was_asked_for_is_kept(name: str, value: str, seconds: float) -> None:
    assert raised(CALLS["submit"], 429, "", {name: value}).retry_after_seconds == seconds


@pytest.mark.parametrize("value", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-3", "soon"])
def test_a_pause_that_is_no_number_is_no_pause(value: str) -> None:
    assert raised(CALLS["submit"], 429, "", {"Retry-After": value}).retry_after_seconds is None


@pytest.mark.parametrize(
    ("purpose", "text", "kind"),
    [
        ("submit", "", OutcomeUnknown),
        ("submit", "<html>login</html>", OutcomeUnknown),
        ("submit", '["batch_1"]', OutcomeUnknown),
        ("look", "not json", Unavailable),
        ("look", "[" * 100_000, Unavailable),
        ("submit", '{"a":' * 100_000, OutcomeUnknown),
        ("read", "{}", Unavailable),
        ("write", "{}", Unavailable),
    ],
)
def test_a_2xx_of_another_shape_is_no_answer(purpose: str, text: str, kind: type[BatchError]) -> None:
    assert type(raised(CALLS[purpose], 200, text)) is kind


@pytest.mark.parametrize(
    ("purpose", "sent", "kind"),
    [
        ("submit", True, OutcomeUnknown),
        ("submit", False, Unavailable),
        ("look", True, Unavailable),
        ("read", False, Unavailable),
        ("write", True, Unavailable),
    ],
)
def test_no_answer_at_all(purpose: str, sent: bool, kind: type[BatchError]) -> None:
    found = lost(CALLS[purpose], TimeoutError("30 s"), sent=sent)
    assert type(found) is kind
    assert "TimeoutError: 30 s" in str(found)
    assert "host right?" in str(found)


def test_good_answers_are_parsed() -> None:
    hits: Any = read_reply(CALLS["read"], 200, '{"hits":{"hits":[{"_id":"t","_source":{"state":"RUNNING"}}]}}', {})
    assert hits == [Hit("t", {"state": "RUNNING"})]
    assert read_reply(CALLS["write"], 200, '{"connector_id": "c1"}', {}) == "c1"
    assert read_reply(CALLS["submit"], 201, '{"task_id": "t"}', {}) == {"task_id": "t"}


def test_ids_are_quoted_in_paths() -> None:
    assert ml_commons.get_task("a/../b?c").path == "/_plugins/_ml/tasks/a%2F..%2Fb%3Fc"
    assert re.fullmatch(r"/_plugins/_ml/tasks/t/_cancel", ml_commons.cancel_task("t").path)


def test_a_page_of_html_is_named_by_its_title_whatever_the_status() -> None:
    page = "<!DOCTYPE html>\n<html><head><title>\n Sign in </title></head><body>" + "<p>x</p>" * 1000 + "</body></html>"
    for status, kind in ((200, Unavailable), (502, Unavailable), (404, Refused)):
        with pytest.raises(kind, match=f"HTTP {status}.*a page of HTML titled 'Sign in', not OpenSearch") as caught:
            read_reply(CALLS["read"], status, page, {})
        assert "<p>" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["https://other.example/path?signature=x", "https://user:pw@other.example", "/x", ""]
)
def test_a_redirect_is_named_by_its_host_alone(location: str) -> None:
    with pytest.raises(Refused, match="HTTP 307: the call is redirected") as caught:
        read_reply(CALLS["submit"], 307, "", {"location": location})
    said = str(caught.value)
    assert ("to https://other.example, " in said) == ("other" in location)
    assert not any(part in said for part in ("signature", "pw", "user:"))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"error":' * 100_000, '{"error": {"root_cause": ["x"]}}', '{"error": []}']
)
def test_a_reply_of_any_shape_is_an_error_of_ours(text: str) -> None:
    for status in (400, 500):
        with pytest.raises(BatchError):
            read_reply(CALLS["submit"], status, text, {})


def test_what_no_database_takes_is_not_in_the_error() -> None:
    with pytest.raises(BatchError) as caught:
        read_reply(
            CALLS["read"], 400, json.dumps({"error": {"root_cause": [], "type": "t", "reason": "a\0b\ud800"}}), {}
        )
    assert "\0" not in str(caught.value)
    str(caught.value).encode()
