"""What Amazon OpenSearch Service would check: the signature, worked out again from what arrived on the wire.

The steps are those of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
share no code with the signer; no call was made to AWS.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsAsyncHook, MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.registration import ensure_model
from opensearch_batch.errors import SpecError, Unavailable
from tests import credential_agent
from tests.sandbox.bench import Server

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "signing-key-not-a-secret"
SESSION_TOKEN = "session/token+not=a-secret"
ODD_ID = "a/b c?d=e&f+g%h~i*é"


@dataclass(frozen=True)
class Wire:
    """One request as it arrived: `target` is path and query, undecoded; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def authorization(self) -> dict[str, str]:
        scheme, _, rest = self.headers["authorization"].partition(" ")
        return {"scheme": scheme, **dict(part.split("=", 1) for part in rest.split(", "))}

    @property
    def scope(self) -> list[str]:
        """Access key, date, region, service, terminator."""
        return self.authorization["Credential"].split("/")

    @property
    def signed(self) -> list[str]:
        return self.authorization["SignedHeaders"].split(";")


@dataclass
class Recorder:
    """Answers everything with {} and keeps what came."""

    port: int = 0
    seen: list[Wire] = field(default_factory=list)

    @property
    def last(self) -> Wire:
        return self.seen[-1]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            names = [name.lower() for name in self.headers]
            assert len(names) == len(set(names)), f"a header came twice: {names}"
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.seen.append(Wire(self.command, self.path, headers, body))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *said: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(params=[None, SESSION_TOKEN], ids=["long-term keys", "session token"])
def token(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Credentials in the environment, and none of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    if request.param:
        monkeypatch.setenv("AWS_SESSION_TOKEN", request.param)
    return request.param  # type: ignore[no-any-return]


def connect(monkeypatch: pytest.MonkeyPatch, recorder: Recorder, extra: dict[str, Any], **more: Any) -> None:
    connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": recorder.port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps(connection | more))


def send_from_a_worker(call: Call) -> Any:
    return MLCommonsHook().send(call)


def send_from_a_trigger(call: Call) -> Any:
    async def send() -> Any:
        async with MLCommonsAsyncHook().sender() as sender:
            return await sender(call)

    return asyncio.run(send())


SENDERS = pytest.mark.parametrize("send", [send_from_a_worker, send_from_a_trigger], ids=["worker", "trigger"])


def canonical_request(wire: Wire) -> str:
    """Path segments are encoded once more, whatever the client encoded already; only S3 does without."""
    path, _, query = wire.target.partition("?")
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    headers = "".join(f"{name}:{' '.join(wire.headers[name].split())}\n" for name in wire.signed)
    return "\n".join(
        [
            wire.method,
            quote(path, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(wire.signed),
            hashlib.sha256(wire.body).hexdigest(),
        ]
    )


def signature(wire: Wire, secret_key: str) -> str:
    scope = wire.scope[1:]
    hashed = hashlib.sha256(canonical_request(wire).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", wire.headers["x-amz-date"], "/".join(scope), hashed])
    key = f"AWS4{secret_key}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def is_accepted(wire: Wire, secret_key: str = SECRET_KEY) -> bool:
    """Host and all x-amz-* headers must be signed, every signed one must be there, and the signature must fit."""
    must = {"host"} | {name for name in wire.headers if name.startswith("x-amz-")}
    complete = must <= set(wire.signed) <= set(wire.headers)
    return complete and hmac.compare_digest(wire.authorization["Signature"], signature(wire, secret_key))


CALLS = {
    "GET without a body": ml_commons.get_model("zyQ9kpcB-x_1.2"),
    "GET of an id that must be encoded": ml_commons.get_task(ODD_ID),
    "POST with a query": ml_commons.register_model("name", "connector-1", "group-1", deploy=True),
    "POST with a body that is not ASCII": ml_commons.batch_predict(ODD_ID, {"input_file_id": "file-é€"}),
    "POST without a body": ml_commons.cancel_task("task-1"),
    "PUT": ml_commons.update_connector(ODD_ID, {"credential": {"key": "sk-sandbox-not-a-secret"}}),
    "DELETE": ml_commons.delete_model("model-1"),
    "query in another order": Call("search", "GET", "/_search?size=1&from=0&q=a%2Fb", purpose="read"),
}


@SENDERS
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_signature_fits_what_arrived(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, call: Call, send: Callable[[Call], Any]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    assert send(call) == {}
    [wire] = recorder.seen
    assert is_accepted(wire)
    assert (wire.method, wire.target) == (call.method, call.path)
    assert wire.authorization["scheme"] == "AWS4-HMAC-SHA256"
    assert wire.headers["host"] == f"127.0.0.1:{recorder.port}"
    assert wire.headers.get("x-amz-security-token") == token
    sent_at = datetime.strptime(wire.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=1)
    assert wire.scope == [ACCESS_KEY, f"{sent_at:%Y%m%d}", "eu-west-1", "es", "aws4_request"]
    assert bool(wire.body) == (call.body is not None)
    assert json.loads(wire.body or b"null") == call.body
    assert not {"sigv4", "region", "service"} & set(wire.headers)


@pytest.mark.parametrize(
    "changed",
    [
        lambda wire: replace(wire, body=wire.body + b" "),
        lambda wire: replace(wire, method="PUT"),
        lambda wire: replace(wire, target=wire.target.replace("%2F", "/")),
        lambda wire: replace(wire, target=wire.target + "?deploy=true"),
        lambda wire: replace(wire, headers=wire.headers | {"host": "127.0.0.1"}),
        lambda wire: replace(wire, headers=wire.headers | {"x-amz-date": "20150830T123600Z"}),
        lambda wire: replace(wire, headers=wire.headers | {"x-amz-security-token": "another"}),
        lambda wire: replace(wire, headers=wire.headers | {"x-amz-target": "unsigned"}),
        lambda wire: replace(wire, headers={k: v for k, v in wire.headers.items() if k != "content-type"}),
    ],
    ids=["body", "method", "path", "query", "host", "date", "token", "unsigned x-amz header", "header lost"],
)
def test_a_request_changed_on_the_way_is_not_accepted(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, changed: Callable[[Wire], Wire]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    MLCommonsHook().send(ml_commons.batch_predict(ODD_ID, {"input_file_id": "file-1"}))
    assert is_accepted(recorder.last)
    assert not is_accepted(changed(recorder.last))
    assert not is_accepted(recorder.last, secret_key="another-key")


def test_the_check_itself_gets_the_signature_that_aws_published() -> None:
    """The example of https://docs.aws.amazon.com/general/latest/gr/sigv4-signed-request-examples.html."""
    wire = Wire(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        {
            "host": "iam.amazonaws.com",
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-amz-date": "20150830T123600Z",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        },
        b"",
    )
    assert is_accepted(wire, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@SENDERS
def test_every_request_is_signed_anew(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, send: Callable[[Call], Any]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    for model_id in ("one", "two"):
        send(ml_commons.get_model(model_id))
    assert len({wire.authorization["Signature"] for wire in recorder.seen}) == 2
    assert all(is_accepted(wire) for wire in recorder.seen)


@SENDERS
def test_no_key_is_sent_and_a_connection_without_sigv4_signs_nothing(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, send: Callable[[Call], Any]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    send(ml_commons.get_model("m"))
    assert SECRET_KEY not in str(recorder.last)
    connect(monkeypatch, recorder, {"region": "eu-west-1"})
    send(ml_commons.get_model("m"))
    assert not [name for name in recorder.last.headers if re.match("authorization|x-amz-", name)]


@SENDERS
def test_without_a_region_or_credentials_nothing_is_sent(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, send: Callable[[Call], Any]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True})
    with pytest.raises(SpecError, match='"sigv4" without "region"'):
        send(ml_commons.get_model("m"))
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SpecError, match="no AWS credentials"):
        send(ml_commons.get_model("m"))
    assert recorder.seen == []


@SENDERS
def test_credentials_that_are_away_for_a_moment_are_asked_for_again(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, send: Callable[[Call], Any]
) -> None:
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    with credential_agent.credential_agent(monkeypatch) as agent:
        with pytest.raises(Unavailable, match="sigv4: no AWS credentials for now .*503"):
            send(ml_commons.get_model("m"))
        assert recorder.seen == []
        agent.is_up = True
        send(ml_commons.get_model("m"))
    assert recorder.last.scope[0] == credential_agent.ACCESS_KEY
    assert is_accepted(recorder.last, credential_agent.SECRET_KEY)


@SENDERS
def test_serverless_gets_the_hash_of_the_body_in_a_signed_header(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, send: Callable[[Call], Any]
) -> None:
    """Serverless answers 403 without it (https://github.com/mhart/aws4/pull/169), and 400 where it is not signed
    (https://github.com/opensearch-project/opensearch-js/issues/1098).
    """
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1", "service": "aoss"})
    for call in (ml_commons.get_model("m"), ml_commons.batch_predict("m", {"input_file_id": "file-1"})):
        send(call)
        assert is_accepted(recorder.last)
        assert recorder.last.scope[3] == "aoss"
        assert recorder.last.headers.get("x-amz-content-sha256") == hashlib.sha256(recorder.last.body).hexdigest()


@SENDERS
def test_a_login_beside_sigv4_is_refused(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, send: Callable[[Call], Any]
) -> None:
    """One Authorization header cannot hold both."""
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"}, login="user", password="pw-not-a-secret")
    with pytest.raises(SpecError, match="sigv4"):
        send(ml_commons.get_model("m"))
    assert recorder.seen == []


def test_a_netrc_entry_for_the_cluster_does_not_replace_the_signature(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, token: str | None, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password pw-not-a-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    connect(monkeypatch, recorder, {"sigv4": True, "region": "eu-west-1"})
    MLCommonsHook().send(ml_commons.get_model("m"))
    assert recorder.last.authorization["scheme"] == "AWS4-HMAC-SHA256"


def test_a_model_is_deployed_although_the_query_of_a_signed_post_is_ignored(server: Server, model_id: str) -> None:
    """Amazon OpenSearch Service ignores it, says
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-signing-service-requests.html
    """
    hook = MLCommonsHook()

    def send(call: Call) -> Any:
        return hook.send(replace(call, path=call.path.partition("?")[0]) if call.method == "POST" else call)

    connector_id = hook.send(ml_commons.get_model(model_id))["connector_id"]
    made = ensure_model(send, "another-name", connector_id, "a-group", deploy=True, sleep=lambda seconds: None)
    assert hook.send(ml_commons.get_model(made))["model_state"] == "DEPLOYED"
