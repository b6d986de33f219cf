"""AssumeRole and GetCallerIdentity; every role can be assumed, except a role with an ARN that ends in `-denied`.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.errors import trouble
from sandbox.aws_face.keys import ACCOUNT, Key, Keys
from sandbox.ids import derived, opensearch_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.aws_face.caller import Caller
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
SESSION = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
SHORTEST, USUAL, LONGEST = 900, 3600, 43_200


class STS:
    scopes = ("sts",)

    def __init__(self, box: Box, objects: Objects) -> None:
        self._keys = Keys(box)

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        given = dict(parse_qsl(body.decode("utf-8", "replace") or request.url.query))
        action = given.get("Action", "")
        if action == "GetCallerIdentity":
            return _result(action, _identity(self._keys.find(caller.access_key), caller))
        if action == "AssumeRole":
            return _result(action, self._assume(given, caller))
        raise trouble("sts", "not_served", f"the sandbox does not serve the action {action!r} of STS")

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def ledger(self) -> list[dict[str, Any]]:
        return []

    def _assume(self, given: dict[str, str], caller: Caller) -> str:
        role, session = given.get("RoleArn", ""), given.get("RoleSessionName", "")
        if not ROLE.fullmatch(role):
            raise AWSError(400, "ValidationError", f"{role} is invalid")
        if not SESSION.fullmatch(session):
            raise AWSError(400, "ValidationError", "Value at 'roleSessionName' failed to satisfy constraint")
        text = given.get("DurationSeconds", str(USUAL))
        if not text.isdigit() or not SHORTEST <= int(text) <= LONGEST:
            raise AWSError(400, "ValidationError", "Value at 'durationSeconds' failed to satisfy constraint")
        if role.endswith("-denied"):
            who = self._keys.find(caller.access_key)
            named = who.identity if who else caller.access_key
            message = f"User: {named} is not authorized to perform: sts:AssumeRole on resource: {role}"
            raise AWSError(403, "AccessDenied", message)
        key = self._keys.issue(role, session, int(text))
        expires = datetime.fromtimestamp(key.expires_at or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"<AssumedRoleUser><AssumedRoleId>{_user_id(key)}</AssumedRoleId><Arn>{escape(key.identity)}</Arn>"
            f"</AssumedRoleUser><Credentials><AccessKeyId>{key.access_key}</AccessKeyId><SecretAccessKey>"
            f"{key.secret_key}</SecretAccessKey><SessionToken>{key.token}</SessionToken><Expiration>{expires}"
            "</Expiration></Credentials>"
        )


def _identity(key: Key | None, caller: Caller) -> str:
    arn = key.identity if key else caller.access_key
    user = _user_id(key) if key else caller.access_key
    return f"<UserId>{user}</UserId><Account>{ACCOUNT}</Account><Arn>{escape(arn)}</Arn>"


def _user_id(key: Key) -> str:
    if key.token is None:
        return "AIDASANDBOX"
    return f"AROA{derived(key.identity.split('/')[1], length=17).upper()}:{escape(key.identity.rpartition('/')[2])}"


def _result(action: str, inside: str) -> Response:
    text = (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inside}</{action}Result>'
        f"<ResponseMetadata><RequestId>{opensearch_id()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(text, media_type="text/xml")
