"""Differences between versions of ML Commons, and surprises of all versions, with the source of every row.

The table is for readers (`python -m docs_build` makes docs/versions.md) and for the tests. No code consults the table
at run time: the reply itself decides, since a managed service or a back-port may have a different version number.
"""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_batch.cluster.ml_commons import Purpose
from opensearch_batch.errors import (
    BatchError,
    CannotLook,
    NoRoute,
    NotTaken,
    OutcomeUnknown,
    Refused,
    TaskLimit,
    Unavailable,
)

SOURCE = "the source"


@dataclass(frozen=True)
class Said:
    """An error reply of a cluster, and its meaning (`means`) for a call of this purpose.

    `kind` is the error's type, empty where the body is not OpenSearch's error object. `cause` is the reason of the root
    cause, where different from `reason`.
    """

    purpose: Purpose
    status: int
    kind: str
    reason: str
    means: type[BatchError]
    cause: str = ""


@dataclass(frozen=True)
class VersionNote:
    """A row of the table: `what` the versions do, and how the package copes.

    `known` is the test of the package's behaviour, or SOURCE for a fact only read in the source. The error replies in
    `said` are always tested, by tests/unit/test_versions.py.
    """

    name: str
    versions: str
    what: str
    source: str
    known: str = SOURCE
    said: tuple[Said, ...] = ()


_AT = "https://github.com/opensearch-project/ml-commons/blob"
_TASKS = "plugin/src/main/java/org/opensearch/ml/action/tasks"
_REMOTE = "ml-algorithms/src/main/java/org/opensearch/ml/engine/algorithms/remote"
_ILLEGAL = "illegal_argument_exception"
_VALIDATION = "m_l_validation_exception"
_REMOTE_OFF = (
    "Remote Inference is currently disabled. To enable it, update the setting "
    '"plugins.ml_commons.remote_inference_enabled" to true.'
)

VERSION_NOTES = (
    VersionNote(
        "no batch actions",
        "before 2.17",
        "A connector with status and cancel actions is refused. 2.16 has _batch_predict, but no task.",
        f"{_AT}/2.16.0.0/common/src/main/java/org/opensearch/ml/common/connector/ConnectorAction.java",
        said=(
            Said(
                "write",
                400,
                _ILLEGAL,
                "No enum constant org.opensearch.ml.common.connector.ConnectorAction.ActionType.BATCH_PREDICT_STATUS",
                Refused,
            ),
        ),
    ),
    VersionNote(
        "cancel route",
        "2.17.0",
        "Cancelling is called _cancel_batch, as in the documentation; from 2.17.1 on it is _cancel. "
        "Where the one is not found the other is asked.",
        f"{_AT}/2.17.0.0/plugin/src/main/java/org/opensearch/ml/rest/RestMLCancelBatchJobAction.java",
        "tests/sandbox/test_versions.py::test_a_cluster_that_calls_it_cancel_batch",
        (
            Said(
                "look",
                400,
                "",
                "no handler found for uri [/_plugins/_ml/tasks/task-1/_cancel] and method [POST]",
                NoRoute,
            ),
        ),
    ),
    VersionNote(
        "submit without its job",
        "2.17",
        "The answer has a task_id, but no remote_job (from 2.18 on): the job is looked for at once.",
        f"{_AT}/2.18.0.0/common/src/main/java/org/opensearch/ml/common/output/MLPredictionOutput.java",
        "tests/unit/test_submission.py::test_an_answer_without_its_job_is_looked_for_at_once",
    ),
    VersionNote(
        "status without credentials",
        "2.19.0",
        "The status read goes out with undecrypted headers, so the provider refuses it: the job is followed there.",
        f"{_AT}/2.19.0.0/{_TASKS}/GetTaskTransportAction.java#L461",
        "tests/unit/test_looking.py::test_where_the_cluster_refuses_the_provider_is_asked",
        (
            Said(
                "look",
                401,
                "status_exception",
                'Error from remote service: {"error": {"message": "Incorrect API key"}}',
                Refused,
            ),
        ),
    ),
    VersionNote(
        "whose headers",
        "all; status reads from 2.19",
        "Submit and status carry the headers of the predict action, whatever their own say: all actions get the same.",
        f"{_AT}/2.19.6.0/ml-algorithms/src/main/java/org/opensearch/ml/engine/MLEngine.java#L127",
        "tests/contract/either/test_jobs.py::test_whose_headers_are_sent",
    ),
    VersionNote(
        "status words",
        "all",
        "Words that no pattern knows (paused, ended, canceled) leave a task RUNNING for ever, as does failed before "
        "2.19; incomplete counts as COMPLETED. The provider's own word in remote_job decides.",
        f"{_AT}/3.6.0.0/{_TASKS}/GetTaskTransportAction.java#L625",
        "tests/unit/test_jobs.py::test_the_providers_status_decides_whatever_the_task_says",
    ),
    VersionNote(
        "numbers",
        "2.x",
        "Numbers in a stored remote_job come back as 3.0, not 3, and a search finds them only so.",
        f"{_AT}/2.19.6.0/common/src/main/resources/index-mappings/ml_task.json",
        "tests/contract/test_ml_commons_jobs.py::test_2_19_counts_in_floats_and_ten_jobs_at_most",
    ),
    VersionNote(
        "task limit",
        "2.18 and later",
        "max_batch_inference_tasks is 10 to 3.3, then 100; the count stops at ten hits, so above 10 there is no limit.",
        f"{_AT}/2.19.6.0/plugin/src/main/java/org/opensearch/ml/task/MLTaskManager.java#L121",
        "tests/sandbox/test_task_limit.py::test_the_error_names_the_tasks_whose_jobs_have_ended",
        (
            Said(
                "submit",
                429,
                "status_exception",
                "Exceeded maximum limit for BATCH_PREDICTION tasks. To increase the limit, update the "
                "plugins.ml_commons.max_batch_inference_tasks setting.",
                TaskLimit,
            ),
        ),
    ),
    VersionNote(
        "one node refuses",
        "2.18 to 3.2, several nodes",
        "The limit check fails on a node without a copy of the task index, before the provider is called.",
        f"{_AT}/3.2.0.0/plugin/src/main/java/org/opensearch/ml/task/MLTaskManager.java#L125",
        "tests/sandbox/test_several_nodes.py::test_a_submission_goes_round_the_nodes_until_one_takes_it",
        (
            Said(
                "submit",
                400,
                "search_phase_execution_exception",
                "all shards failed",
                NotTaken,
                "can not write type [class org.opensearch.ml.common.MLTaskState]",
            ),
        ),
    ),
    VersionNote(
        "master key",
        "all",
        "A fresh or restarted node does not have the key for credentials yet, and has sent nothing on.",
        f"{_AT}/2.19.6.0/ml-algorithms/src/main/java/org/opensearch/ml/engine/encryptor/EncryptorImpl.java#L151",
        "tests/sandbox/test_several_nodes.py::test_a_node_without_its_master_key_is_asked_again",
        (
            Said("write", 500, "m_l_exception", "Fetching master key timed out.", NotTaken),
            Said(
                "write",
                404,
                "status_exception",
                "The ML encryption master key has not been initialized yet. Please retry after waiting for 10 seconds.",
                NotTaken,
            ),
        ),
    ),
    VersionNote(
        "trusted endpoints",
        "3.7 and later",
        "Status and cancel are refused whatever the setting says: the job is followed at the provider.",
        "https://github.com/opensearch-project/ml-commons/pull/4826",
        "tests/sandbox/test_promises.py::test_a_cluster_that_refuses_every_look_is_left_for_the_provider",
        (
            Said(
                "look",
                400,
                _ILLEGAL,
                "Trusted connector endpoints regex is not configured. Please set "
                "plugins.ml_commons.trusted_connector_endpoints_regex.",
                CannotLook,
            ),
        ),
    ),
    VersionNote(
        "private address",
        "all",
        "private_ip_enabled opens submit (3.6: after a redeploy), but never status and cancel: the job is followed at "
        "the provider.",
        f"{_AT}/3.6.0.0/{_TASKS}/GetTaskTransportAction.java",
        "tests/contract/test_private_ip.py::"
        "test_the_setting_opens_submission_after_a_redeploy_but_never_status_and_cancel",
        (
            Said("look", 400, _ILLEGAL, "Remote inference host name has private ip address: 127.0.0.1", CannotLook),
            Said("submit", 400, _ILLEGAL, "Remote inference host name has private ip address: 127.0.0.1", Refused),
        ),
    ),
    VersionNote(
        "empty answer to a cancel",
        "seen on 3.6.0",
        "Where a connector that signs cancels, and the provider's answer is empty, the cancel is refused, although the "
        "provider stops the job: it is stopped once more at the provider, where that does no harm.",
        f"{_AT}/3.6.0.0/{_REMOTE}/MLSdkAsyncHttpResponseHandler.java",
        "tests/real/test_vendors.py::test_a_cancel",
        (Said("look", 400, _ILLEGAL, "Unsupported response type", Refused),),
    ),
    VersionNote(
        "empty answer",
        "all",
        "An empty answer of the provider, an error or not, is 400 to 3.1, then 502 or the provider's status: in either "
        "case there may be a job.",
        f"{_AT}/3.1.0.0/{_REMOTE}/MLSdkAsyncHttpResponseHandler.java#L184",
        said=(
            Said("submit", 400, "status_exception", "No response from model", OutcomeUnknown),
            Said("submit", 502, "status_exception", "Remote service returned empty response body", OutcomeUnknown),
        ),
    ),
    VersionNote(
        "answer that is not JSON",
        "all",
        "A 200 of the provider that is not JSON is 500 on 2.19 and 400 on 3.6; there may be a job, but no task.",
        f"{_AT}/2.19.6.0/{_REMOTE}/MLSdkAsyncHttpResponseHandler.java#L207",
        said=(
            Said("submit", 500, "m_l_exception", "Fail to execute BATCH_PREDICT in aws connector", OutcomeUnknown),
            Said("submit", 400, _ILLEGAL, "Invalid JSON format: Unrecognized token 'not'", OutcomeUnknown),
        ),
    ),
    VersionNote(
        "job without a task",
        "all",
        "Where the task cannot be written after the provider took the job, the answer is an error and the job runs.",
        f"{_AT}/2.19.6.0/plugin/src/main/java/org/opensearch/ml/task/MLPredictTaskRunner.java",
        "tests/unit/test_submission.py::test_a_lost_answer_is_looked_up_at_the_provider",
        (
            Said(
                "submit", 500, "status_exception", "Failed to put data object in index .plugins-ml-task", OutcomeUnknown
            ),
        ),
    ),
    VersionNote(
        "lost job",
        "2.19 and later",
        "A job that every look fails for stays RUNNING for ever, never UNREACHABLE: of the request's two builders the "
        "one that is used drops who asked. It cannot be deleted, and counts against the limit.",
        f"{_AT}/3.6.0.0/common/src/main/java/org/opensearch/ml/common/transport/task/MLTaskGetRequest.java#L40",
    ),
    VersionNote(
        "denied access",
        "2.18 and later, with access control",
        "Without access to the model group submit is 403, status and cancel are 500, and always will be.",
        f"{_AT}/2.18.0.0/{_TASKS}/GetTaskTransportAction.java#L254",
        "tests/real/test_secured_refusals.py::test_another_teams_task_is_a_500_for_good",
        (
            Said("look", 500, _VALIDATION, "You don't have permission to access this batch job", Refused),
            Said("look", 500, _VALIDATION, "You don't have permission to cancel this batch job", Refused),
            Said(
                "submit",
                403,
                "status_exception",
                "User Doesn't have privilege to perform this operation on this model",
                Refused,
            ),
        ),
    ),
    VersionNote(
        "two reads at once",
        "all",
        "A status read writes the task, so of two at once (the cluster's own poller is one) the later may be 409.",
        f"{_AT}/3.6.0.0/{_TASKS}/GetTaskTransportAction.java",
        "tests/contract/either/test_jobs.py::test_reads_at_the_same_moment_conflict",
        (
            Said(
                "look",
                409,
                "version_conflict_engine_exception",
                "[task-1]: version conflict, required seqNo [178], primary term [1]. current document has seqNo [179] "
                "and primary term [1]",
                Unavailable,
            ),
        ),
    ),
    VersionNote(
        "name of a setting",
        "2.17 and later",
        "The text names plugins.ml_commons.remote_inference_enabled, which does not exist: it is "
        "plugins.ml_commons.remote_inference.enabled. 500 on 2.19, 400 on 3.6.",
        f"{_AT}/3.6.0.0/plugin/src/main/java/org/opensearch/ml/utils/MLExceptionUtils.java#L22",
        said=(
            Said("write", 500, "illegal_state_exception", _REMOTE_OFF, Refused),
            Said("write", 400, "status_exception", _REMOTE_OFF, Refused),
        ),
    ),
    VersionNote(
        "untrusted URL",
        "all",
        "The refused URL is named up to 3.1 only.",
        "https://github.com/opensearch-project/ml-commons/pull/3953",
        said=(
            Said(
                "write",
                400,
                _ILLEGAL,
                "Connector URL is not matching the trusted connector endpoint regex, URL is: http://203.0.113.9:1/v1",
                Refused,
            ),
            Said("write", 400, _ILLEGAL, "Connector URL is not matching the trusted connector endpoint regex", Refused),
        ),
    ),
    VersionNote(
        "time-outs",
        "all",
        "Without client_config the cluster waits 30 000 s for the provider to 3.5, then 30 s; from 3.8 on it repeats a "
        "submit that failed if max_retry_times is set. Our connectors say all three.",
        f"{_AT}/3.5.0.0/common/src/main/java/org/opensearch/ml/common/connector/ConnectorClientConfig.java#L42",
        "tests/sandbox/test_registration.py::test_a_body_without_timeouts_gets_a_warning",
    ),
    VersionNote(
        "look-alike connectors",
        "all",
        "Connector ids are compared by their parts between hyphens, so a connector may be in use by another's models.",
        f"{_AT}/3.6.0.0/plugin/src/main/java/org/opensearch/ml/action/connector/DeleteConnectorTransportAction.java",
        "tests/unit/test_registration.py::test_models_of_a_connector_whose_id_only_looks_alike_are_not_ours",
    ),
)
