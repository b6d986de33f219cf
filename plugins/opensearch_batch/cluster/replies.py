"""Replies of the cluster as values, or as errors with advice: a table of rules, where the first match counts.

Wordings: https://github.com/opensearch-project/ml-commons, and versions.py where versions differ. Rules match the text
because the status says little: the plugin's own refusals are 500, and the plugin relays a provider's refusal under the
provider's status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opensearch_batch.cluster import advice
from opensearch_batch.cluster.advice import setting
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.tls import refused_by
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
    Unavailable,
)
from opensearch_batch.retry_after import pause_seconds
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.unsigned import unsigned

REMOTE = "Error from remote service: "

TITLE_WITHIN = 4096
"""Characters of a page that are searched for its title."""

_CUT = "isconnected|ReadError|onnection reset"
"""Texts in errors of requests and httpx for a connection closed without a reply."""


@dataclass(frozen=True)
class Rule:
    """The error for a reply to a call of `purposes` (empty: all) with one of `statuses` (empty: any) and `pattern` in
    the text. `pause_seconds` is the pause before a retry where the reply has no Retry-After.
    """

    error: type[BatchError]
    pattern: str = ""
    statuses: frozenset[int] = frozenset()
    purposes: tuple[str, ...] = ()
    advice: str | Callable[[Call, re.Match[str]], str] = ""
    pause_seconds: float | None = None


def _statuses(*values: int) -> frozenset[int]:
    return frozenset(values)


_5XX = frozenset(range(500, 600))

# The provider's own reply, relayed. These rules come first, because the text may be anything.
_RELAYED = (
    Rule(
        Refused,
        REMOTE,
        _statuses(401, 403),
        advice="The provider refused the connector's key: renew it (rotate_credential). A connector without a predict "
        "action sends none.",
    ),
    Rule(Throttled, REMOTE, _statuses(429)),
    Rule(Throttled, f"{REMOTE}The request was denied due to remote server throttling"),
    Rule(OutcomeUnknown, REMOTE, _5XX | _statuses(408), ("submit",)),
    Rule(Unavailable, REMOTE, _5XX | _statuses(408)),
    Rule(Refused, REMOTE, advice="The provider refused it."),
)

# Errors, some with status 400, after which the provider may have a job all the same. After the last two the cluster
# could not write the job's task (a full disk blocks the index, with 429).
_WITH_A_JOB = (
    Rule(
        OutcomeUnknown,
        "No response from model|Invalid JSON format|empty response body|with empty body"
        "|Failed to put data object in index|cluster_block_exception",
        purposes=("submit",),
    ),
    Rule(OutcomeUnknown, "Error validating output schema", purposes=("submit",), advice=advice.take_anything),
)

# Passing trouble; the cluster sent nothing on to the provider.
_PASSING = (
    Rule(NotTaken, r"can not write type \[class org.opensearch.ml.common.MLTaskState\]", advice=advice.REPLICAS),
    Rule(NotTaken, "Fetching master key timed out|master key has not been initialized"),
    Rule(Unavailable, "OpenSearch Security not initialized", _statuses(503)),
    Rule(Unavailable, "version_conflict_engine_exception|version conflict", _statuses(409), ("read", "write", "look")),
    Rule(Unavailable, "Connection refused", purposes=("submit",)),
    Rule(
        Unavailable,
        "no eligible node",
        advice=f"None has a role for it: {setting('task_dispatcher.eligible_node_role.remote_model', ['data', 'ml'])}",
    ),
    Rule(
        TaskLimit,
        "Exceeded maximum limit for BATCH_PREDICTION tasks",
        advice=f"Wait, or lift the check: {setting('max_batch_inference_tasks', 100)} "
        "(it never counts more than ten, so any value above 10 lifts it; docs/runbook-task-limit.md).",
        pause_seconds=300,
    ),
)

# A setting of the cluster, or the cluster's version, is in the way.
_SETTINGS = (
    # The job is fine, only this cluster cannot see it (3.7 and later; with a private provider address every version).
    Rule(CannotLook, "Trusted connector endpoints regex is not configured", purposes=("look",)),
    Rule(CannotLook, "has private ip address", purposes=("look",)),
    Rule(Refused, "has private ip address", advice=advice.allow_private),
    Rule(Refused, r"not matching the trusted connector endpoint regex(?:, URL is: (?P<url>\S+))?", advice=advice.trust),
    Rule(
        NoRoute,
        "no handler found for uri",
        advice="This cluster has no ML Commons plugin with batch inference: GET _cat/plugins must list opensearch-ml "
        "2.17.1 or later on every node.",
    ),
    Rule(
        Refused,
        r"No enum constant \S*ActionType\.\w*BATCH_PREDICT",
        advice="This cluster's ML Commons is older than 2.17, which has no batch tasks: upgrade it to 2.17.1 or later.",
    ),
    Rule(Refused, "Remote Inference is currently disabled", advice=setting("remote_inference.enabled", True)),
    Rule(
        Refused,
        "Offline Batch Inference is currently disabled",
        advice=setting("offline_batch_inference_enabled", True),
    ),
    Rule(Refused, "Model not ready yet|Auto deployment disabled for this model", advice=advice.deploy),
    Rule(Refused, "Model is disabled", advice=advice.enable_model),
    Rule(Refused, "Error validating (input|output) schema", advice=advice.take_anything),
    Rule(
        Refused,
        "You cannot specify (?P<kind>connector|model) access control parameters",
        advice=advice.allow_access_control,
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
)

# Missing rights. The first two come as 403, 400 or, on status and cancel, as 500 (m_l_validation_exception), and stay.
_RIGHTS = (
    Rule(
        Refused,
        "(?i)you don't have the backend roles? specified|you must have at least one backend role",
        advice='Name roles of this user in the connection\'s extra: {"backend_roles": ["ROLE"]}.',
    ),
    Rule(
        Refused,
        "(?i)you don't have permissions?|doesn't have privilege|you are not allowed to|no permission to"
        "|is not authorized to perform action",
        advice=advice.OTHER_TEAM,
    ),
    Rule(Refused, r"no permissions for \[(?P<permissions>(?:[^\[\]]|\[\w+\])+)\]", advice=advice.permit),
    Rule(
        Refused, "", _statuses(401), advice="The cluster refused the login: check the connection's user and password."
    ),
    Rule(Refused, "", _statuses(403), advice="The cluster's user may not do this: give its role the named permission."),
)

_ABSENT = (
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
)

_BY_STATUS = (
    Rule(Throttled, "", _statuses(429)),
    Rule(OutcomeUnknown, "", _5XX | _statuses(408, 409, 425), ("submit",)),
    Rule(Unavailable, "", _5XX | _statuses(408, 425)),
    Rule(Refused),
)

RULES = (*_RELAYED, *_WITH_A_JOB, *_PASSING, *_SETTINGS, *_RIGHTS, *_ABSENT, *_BY_STATUS)


def read_reply(call: Call, status: int, text: str, headers: Mapping[str, str]) -> Any:
    """Return `call.parse` of a 2xx reply; else raise the error of the first rule that matches.

    A 2xx reply that `call.parse` cannot read is OutcomeUnknown for a submission, else Unavailable. The error's
    `retry_after_seconds` is the reply's Retry-After, else the rule's pause.
    """
    if 200 <= status < 300:
        try:
            return call.parse(json.loads(text))
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
            kind = OutcomeUnknown if call.purpose == "submit" else Unavailable
            what = _page_in(text) or repr(error)
            raise kind(
                f"{call.name}: HTTP {status} with an answer that is not ML Commons' ({what})", status=status
            ) from None
    if 300 <= status < 400:
        raise Refused(f"{call.name}: HTTP {status}: {_sent_on(headers)}", status=status)
    reason = _reason(text)
    rule, match = next(found for rule in RULES if (found := _matched(rule, call, status, reason)))
    what_to_do = rule.advice if isinstance(rule.advice, str) else rule.advice(call, match)
    said = f"{call.name}: HTTP {status}: {unsigned(scrubbed(reason))[:600]}"
    raise rule.error(
        f"{said.removesuffix('.')}. {what_to_do}" if what_to_do else said,
        status=status,
        retry_after_seconds=pause_seconds(headers) or rule.pause_seconds,
    )


def lost(call: Call, error: Exception, *, sent: bool) -> BatchError:
    """Return the error for a call without a reply; `sent` is False only where the connection itself failed.

    Terminal where TLS refused the connection, OutcomeUnknown for a submission that was sent, else Unavailable.
    """
    if what_to_do := refused_by(error):
        return Terminal(f"{call.name}: {error}. {what_to_do}")
    kind = OutcomeUnknown if sent and call.purpose == "submit" else Unavailable
    what = f"{type(error).__name__}: {error}"
    hint = " If it speaks https, the connection's schema must say so." if re.search(_CUT, what) else ""
    return kind(f"{call.name}: no answer from the cluster ({what}). Is it up, and the connection's host right?{hint}")


def _matched(rule: Rule, call: Call, status: int, reason: str) -> tuple[Rule, re.Match[str]] | None:
    if (rule.purposes and call.purpose not in rule.purposes) or (rule.statuses and status not in rule.statuses):
        return None
    match = re.search(rule.pattern, reason)
    return (rule, match) if match else None


def _reason(text: str) -> str:
    """Return the reasons of the error and of its root causes; the bare text where the reply is not OpenSearch's."""
    try:
        error = json.loads(text)["error"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return _page_in(text) or text.strip()
    try:
        causes = [cause.get("reason") for cause in error["root_cause"]]
        reasons = [
            f"{error.get('type')}: {error.get('reason')}",
            *(c for c in causes if c and c != error.get("reason")),
        ]
        return "; ".join(map(str, reasons))
    except (AttributeError, KeyError, TypeError):
        return error if isinstance(error, str) and "no handler found" in error else text.strip()


def _page_in(text: str) -> str:
    """Describe a page of HTML, by its title; empty for any other text."""
    if not re.match(r"(?i)\s*<(!doctype\s+html|html)\b", text):
        return ""
    title = re.search(r"(?is)<title[^>]*>(.{0,200}?)</title>", text[:TITLE_WITHIN])
    named = f" titled {' '.join(title[1].split())!r}" if title else ""
    return f"a page of HTML{named}, not OpenSearch: a proxy or a login page is in the way, or the host is another one"


def _sent_on(headers: Mapping[str, str]) -> str:
    """Name the host alone: what follows may be a signature."""
    try:
        place = urlsplit(headers.get("location") or "")
        there = f"{place.scheme}://{place.hostname}{f':{place.port}' if place.port else ''}" if place.hostname else ""
    except ValueError:
        there = ""
    return (
        f"the call is redirected{f' to {there}' if there else ''}, and was not sent there: no key follows a redirect. "
        "Give the cluster's own address as the connection's host."
    )
