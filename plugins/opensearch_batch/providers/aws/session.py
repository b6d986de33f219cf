"""AWS through boto3: the identity from an Airflow connection of type aws, and boto3's errors as ours.

Of the connection: login and password are an access key; extra: `aws_session_token`, `region_name`, `role_arn` (assumed
and renewed as long as a client lives), `endpoint_url`, with the amazon provider's meaning (the amazon provider, where
installed, makes the session); `cluster_role_arn`, a role assumed by the cluster (a managed domain), which needs no key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from opensearch_batch.cluster.aws_keys import no_keys_for_now
from opensearch_batch.errors import BatchError, KeyExpired, Refused, SpecError, Throttled, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.credential import refuse_literal_credential, refuse_login_in
from opensearch_batch.providers.refusals import refusal
from opensearch_batch.providers.shape import count, from_sdk, inner, text, words
from opensearch_batch.retry_after import pause_seconds
from opensearch_batch.scrubbing import remember

if TYPE_CHECKING:
    import boto3
    from airflow.sdk import Connection

T = TypeVar("T")

NOT_FOUND = 404
EXPIRED = frozenset(["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"])
THROTTLED = frozenset(
    [
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "RequestLimitExceeded",
    ]
)
PASSING = frozenset(["InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted"])
"""Codes of S3 that pass, for errors without a status that says so:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. SlowDownRead and SlowDownWrite are MinIO's.
"""
ABSENT = frozenset(["404", "NoSuchKey", "NoSuchBucket", "NotFound", "ResourceNotFound", "ResourceNotFoundException"])
UNAUTHORIZED = 401
FORBIDDEN = 403
REFUSED_KEYS = frozenset(
    [
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "AuthFailure",
    ]
)
"""Codes of a key that AWS does not know, or no longer, whatever the status:
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
"""
DENIED = frozenset(["403", "AccessDenied", "AccessDeniedException"])
AMAZON = "airflow.providers.amazon"
TIMEOUT_SECONDS = 60
ATTEMPTS = 5


def session_of(connection: Connection) -> boto3.Session:
    """Return the connection's session; without keys there boto3 looks in environment, files, the machine's own role."""
    return from_aws(lambda: _session_of(connection), f"read connection {connection.conn_id!r}")


def _session_of(connection: Connection) -> boto3.Session:
    extra = connection.extra_dejson
    if has_amazon():
        from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory
        from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

        wrapped = AwsConnectionWrapper(conn=connection, region_name=extra.get("region_name"))
        factory = BaseSessionFactory(conn=wrapped, region_name=extra.get("region_name"))
        _share_models(factory.basic_session)  # asks for the role, where the connection has a role
        return factory.create_session()
    import boto3

    session = boto3.Session(
        aws_access_key_id=connection.login or None,
        aws_secret_access_key=connection.password or None,
        aws_session_token=extra.get("aws_session_token"),
        region_name=extra.get("region_name"),
    )
    _share_models(session)
    return _assumed(session, extra) if extra.get("role_arn") else session


def has_amazon() -> bool:
    try:
        return find_spec(AMAZON) is not None
    except ModuleNotFoundError:
        return False


def _assumed(session: boto3.Session, extra: Mapping[str, Any]) -> boto3.Session:
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import get_session

    def sts(service: str, **given: Any) -> Any:
        return session.client(service, endpoint_url=extra.get("endpoint_url"), **given)

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=sts,
        source_credentials=session.get_credentials(),
        role_arn=extra["role_arn"],
        extra_args={"RoleSessionName": "opensearch-batch", **(extra.get("assume_role_kwargs") or {})},
    )
    inner = get_session()
    inner._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return boto3.Session(botocore_session=inner, region_name=session.region_name)


def client_of(connection: Connection, service: str) -> Any:
    """The SDK sends a call up to ATTEMPTS times."""
    with imported_from("amazon", f"connection {connection.conn_id!r}"):
        from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=TIMEOUT_SECONDS,
        s3={"addressing_style": "path"} if endpoint_of(connection) else None,
    )
    endpoint = endpoint_of(connection)
    session, region = session_of(connection), region_of(connection)
    _read_any_time(session)
    _share_models(session)
    client = from_aws(
        lambda: session.client(service, region_name=region, endpoint_url=endpoint, config=config), f"use {service}"
    )
    client.meta.events.register_first("before-send", _remember_token)
    return client


def _remember_token(request: Any, **_: Any) -> None:
    """The token of a request: an assumed role gets another each hour, from no connection."""
    token = request.headers.get("X-Amz-Security-Token")
    remember(token.decode() if isinstance(token, bytes) else token)


def endpoint_of(connection: Connection) -> str | None:
    """Return the address of a server other than AWS's own. Raise SpecError for a login in the address."""
    endpoint = connection.extra_dejson.get("endpoint_url") or None
    refuse_login_in(str(endpoint or ""), str(connection.conn_id))
    return endpoint


def _share_models(session: boto3.Session) -> None:
    """Have the process read the SDK's models of AWS's services once. Left alone each session reads them anew and keeps
    10 to 30 MB of them: a triggerer has a session a wait.
    """
    inner = session._session
    inner.register_component("data_loader", _models(inner.get_config_variable("data_path")))


@cache
def _models(data_path: str | None) -> Any:
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _read_any_time(session: boto3.Session) -> None:
    """boto3 gives up an answer for one time in it that is none: our own reading takes such a time for not told."""
    from botocore.utils import parse_timestamp

    def moment(value: Any) -> Any:
        try:
            return parse_timestamp(value)
        except (OverflowError, RuntimeError, TypeError, ValueError):
            return value

    session._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)


def region_of(connection: Connection) -> str:
    region = connection.extra_dejson.get("region_name") or session_of(connection).region_name
    if not region:
        raise SpecError(f'connection {connection.conn_id!r} names no region: {{"region_name": "…"}} in its extra')
    return str(region)


def credential_of(names: Mapping[str, Any], connection: Connection) -> dict[str, str]:
    """Return a connector's credential: the cluster's own role, or the present keys; temporary keys with the token."""
    refuse_literal_credential(names)
    if role := connection.extra_dejson.get("cluster_role_arn"):
        return {"roleArn": str(role)}
    found = from_aws(session_of(connection).get_credentials, f"read the keys of connection {connection.conn_id!r}")
    if found is None:
        raise SpecError(
            f"connection {connection.conn_id!r} has no access key (login and password), and boto3 finds none on this "
            'worker. For a role that the cluster assumes itself: {"cluster_role_arn": "arn:…"} in its extra'
        )
    keys = from_aws(found.get_frozen_credentials, f"read the keys of connection {connection.conn_id!r}")
    secrets = {"access_key": keys.access_key, "secret_key": keys.secret_key}
    return secrets | ({"session_token": keys.token} if keys.token else {})


def from_aws(ask: Callable[[], T], what: str) -> T:
    """Translate boto3's errors into ours."""
    return from_sdk(ask, what, lambda error: _translated(what, error))


def _translated(what: str, error: Exception) -> BatchError | None:
    """None for no error of boto3's, and for an answer that boto3 could not take apart."""
    with imported_from("amazon", f"to {what}"):
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as NoConnection
        from botocore.parsers import ResponseParserError

    if isinstance(error, ClientError):
        status = count(inner(error.response, "ResponseMetadata", "HTTPStatusCode"))
        headers = inner(error.response, "ResponseMetadata", "HTTPHeaders") or {}
        return refusal_of(what, inner(error.response, "Error"), status, headers)
    if gone := no_keys_for_now(what, error):
        return gone
    if isinstance(error, HTTPClientError | NoConnection):
        return Unavailable(f"{what}: no answer from AWS ({error}). Is the region right?")
    if isinstance(error, ResponseParserError):
        return None
    return SpecError(f"{what}: {error}") if isinstance(error, BotoCoreError) else None


def refusal_of(what: str, error: Any, status: int, headers: Mapping[str, str]) -> BatchError:
    """Return an error of AWS's, `Code` and `Message`, as ours. One about an object in an answer about many has no
    status (0), and its code alone tells.
    """
    code = text(inner(error, "Code")) or ""
    said = (words(inner(error, "Message")) or "")[:600]
    message = f"{what}: {code}{f' (HTTP {status})' if status else ''}: {said.rstrip('. ')}."
    if code in EXPIRED:
        return KeyExpired(
            f"{message} Temporary keys end: give the connection a role_arn, which is assumed anew, or renew them.",
            status=status,
        )
    if code in THROTTLED:
        return Throttled(message, status=status, retry_after_seconds=pause_seconds(headers))
    if code in PASSING:
        return Unavailable(message, status=status, retry_after_seconds=pause_seconds(headers))
    found = refusal(message, status, headers, passing=(), of_the_key=())
    return _refused(code, said, message, status) if isinstance(found, Refused) else found


def _refused(code: str, said: str, message: str, status: int) -> Refused:
    if code in ABSENT or _says_absent(said):
        return Refused(f"{message} Are the region and the name right?", status=NOT_FOUND)
    if code in REFUSED_KEYS:
        return Refused(f"{message} Check the key in the provider's connection.", status=UNAUTHORIZED)
    if code in DENIED or status == FORBIDDEN:
        return Refused(
            f"{message} The connection's key may not do this: docs/providers has the policy.", status=FORBIDDEN
        )
    return Refused(message, status=status)


def _says_absent(said: str) -> bool:
    """DescribeTransformJob answers an unknown job as a validation error; only the text tells."""
    return "could not find" in said.lower()


def plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as the cluster would: times as epoch seconds, without the SDK's own part."""
    return {key: _plain(value) for key, value in document.items() if key != "ResponseMetadata"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return plain(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value
