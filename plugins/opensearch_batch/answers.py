"""What the cluster answered: a value, or an error that says what to do. One table, read from the top, first match
counts.

Wordings: https://github.com/opensearch-project/ml-commons, each seen on real servers. They are matched on text
because the status says little: the plugin's own refusals are 500, the provider's are relayed under the provider's
status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearch_batch.errors import BatchError, CannotLook, OutcomeUnknown, Refused, Throttled, Unavailable
from opensearch_batch.ml_commons import Call

REMOTE = "Error from remote service: "


@dataclass(frozen=True)
class Rule:
    """For answers of `purposes` (empty: all) with one of `statuses` (empty: any) whose text has `pattern`."""

    error: type[BatchError]
    pattern: str = ""
    statuses: frozenset[int] = frozenset()
    purposes: tuple[str, ...] = ()
    advice: str = ""
    pause_seconds: float | None = None


def _statuses(*values: int) -> frozenset[int]:
    return frozenset(values)


_5XX = frozenset(range(500, 600))

RULES = (
    # The job is fine, only this cluster cannot see it (3.7 and later; with a private provider address every version).
    Rule(CannotLook, "Trusted connector endpoints regex is not configured", purposes=("look",)),
    Rule(CannotLook, "has private ip address", purposes=("look",)),
    Rule(
        Refused,
        "has private ip address",
        advice="Set plugins.ml_commons.connector.private_ip_enabled, then redeploy the model.",
    ),
    Rule(
        Refused,
        "no handler found for uri",
        advice="This cluster has no ML Commons plugin with batch inference (2.17.1 or later).",
    ),
    # One node in a cluster of 2.18 to 3.2 without a copy of the task index: another node will take it.
    Rule(Unavailable, r"can not write type \[class org.opensearch.ml.common.MLTaskState\]"),
    Rule(Unavailable, "master key"),
    Rule(Unavailable, "version_conflict_engine_exception|version conflict", _statuses(409), ("read", "write", "look")),
    Rule(
        Throttled,
        "Exceeded maximum limit for BATCH_PREDICTION tasks",
        advice="Wait, or raise plugins.ml_commons.max_batch_inference_tasks.",
        pause_seconds=300,
    ),
    # The provider's own answer, relayed.
    Rule(
        Refused,
        REMOTE,
        _statuses(401, 403),
        advice="The provider refused the connector's key: renew it (rotate_credential).",
    ),
    Rule(Throttled, REMOTE, _statuses(429)),
    Rule(OutcomeUnknown, REMOTE, _5XX | _statuses(408), ("submit",)),
    Rule(Unavailable, REMOTE, _5XX),
    Rule(Refused, REMOTE, advice="The provider refused it."),
    # The provider may have a job although these are errors, some of them 400.
    Rule(
        OutcomeUnknown,
        "No response from model|Invalid JSON format|empty response body|with empty body",
        purposes=("submit",),
    ),
    Rule(Unavailable, "Connection refused", purposes=("submit",)),
    Rule(
        Refused,
        "Offline Batch Inference is currently disabled",
        advice="Set plugins.ml_commons.offline_batch_inference_enabled.",
    ),
    Rule(
        Refused,
        "Please configure the action type",
        advice='Give the connector\'s status and cancel actions a request_body, e.g. "{}".',
    ),
    Rule(
        Refused,
        "models are still using this connector",
        advice="Compare those models' connector_id: ids that share a part between hyphens are taken for one another.",
    ),
    Rule(
        Refused, "You don't have permission|doesn't have privilege", advice="The user lacks access to the model group."
    ),
    Rule(
        Refused, "", _statuses(401), advice="The cluster refused the login: check the connection's user and password."
    ),
    Rule(Refused, "", _statuses(403), advice="The cluster's user may not do this: give its role the named permission."),
    Rule(
        Refused,
        "Failed to retrieve the ML model",
        advice="The model was deleted while its job ran; the job goes on at the provider.",
    ),
    Rule(
        Refused,
        "Failed to find model|Fail to find model|from index .plugins-ml-model",
        advice="Register it first, or check the model id.",
    ),
    Rule(Refused, "Failed to find task|Fail to find task", advice="The task was deleted from the cluster."),
    Rule(Throttled, "", _statuses(429)),
    Rule(OutcomeUnknown, "", _5XX | _statuses(408, 409, 425), ("submit",)),
    Rule(Unavailable, "", _5XX | _statuses(408, 425)),
    Rule(Refused),
)


def read_answer(call: Call, status: int, text: str, headers: Mapping[str, str]) -> Any:
    """Return `call.parse` of a 2xx answer, else raise the error of the first rule that matches."""
    if 200 <= status < 300:
        try:
            return call.parse(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            kind = OutcomeUnknown if call.purpose == "submit" else Unavailable
            raise kind(
                f"{call.name}: HTTP {status} with an answer that is not ML Commons' ({error!r})", status=status
            ) from None
    reason = _reason(text)
    rule = next(rule for rule in RULES if _matches(rule, call, status, reason))
    message = f"{call.name}: HTTP {status}: {reason[:600]}" + (f" {rule.advice}" if rule.advice else "")
    raise rule.error(message, status=status, retry_after_seconds=_retry_after(headers) or rule.pause_seconds)


def lost(call: Call, error: Exception, *, sent: bool) -> BatchError:
    """No answer at all; `sent` is False only where the connection itself failed."""
    kind = OutcomeUnknown if sent and call.purpose == "submit" else Unavailable
    return kind(
        f"{call.name}: no answer from the cluster ({type(error).__name__}: {error}). "
        "Is it up, and the connection's host right?"
    )


def _matches(rule: Rule, call: Call, status: int, reason: str) -> bool:
    return (
        (not rule.purposes or call.purpose in rule.purposes)
        and (not rule.statuses or status in rule.statuses)
        and re.search(rule.pattern, reason) is not None
    )


def _reason(text: str) -> str:
    """Reasons of the error and of its root causes; the text as it is where it is not OpenSearch's JSON."""
    try:
        error = json.loads(text)["error"]
        causes = [cause.get("reason") for cause in error["root_cause"]]
    except (ValueError, KeyError, TypeError):
        if text.startswith("{") and '"no handler found' in text:
            return str(json.loads(text)["error"])
        return text.strip()
    reasons = [f"{error.get('type')}: {error.get('reason')}", *(c for c in causes if c and c != error.get("reason"))]
    return "; ".join(reasons)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; the date form of Retry-After is not read."""
    value = headers.get("Retry-After") or headers.get("retry-after") or ""
    return float(value) if value.replace(".", "", 1).isdigit() else None
