"""Requests signed with AWS Signature Version 4, for Amazon OpenSearch Service:
https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opensearch_batch.cluster.aws_keys import no_keys_for_now
from opensearch_batch.errors import SpecError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.scrubbing import remember


@dataclass(frozen=True)
class Signer:
    """Sign requests with the AWS credentials found by boto3 on the machine.

    `service` is "es", or "aoss" for serverless.
    """

    region: str
    service: str

    @classmethod
    def from_options(cls, options: dict[str, Any], *, has_login: bool = False) -> Signer | None:
        """Return the signer for a connection's extra; None without "sigv4".

        Raise SpecError for a login beside "sigv4", and for "sigv4" without "region".
        """
        if not options.get("sigv4"):
            return None
        if has_login:
            raise SpecError('the connection has a login, and "sigv4" in its extra: a call can carry only one of them')
        if not options.get("region"):
            raise SpecError('the connection\'s extra has "sigv4" without "region"')
        return cls(str(options["region"]), str(options.get("service", "es")))

    @cached_property
    def _credentials(self) -> Any:
        """Find the credentials once; temporary credentials renew themselves. Raise SpecError without credentials."""
        with imported_from("amazon", '"sigv4" in a connection\'s extra'):
            import boto3

        if (credentials := boto3.Session().get_credentials()) is None:
            raise SpecError("sigv4: no AWS credentials on this machine")
        return credentials

    def _keys(self) -> Any:
        """Return the keys of now. Raise Unavailable where what gives them out is away, as an agent that restarts."""
        from botocore.exceptions import BotoCoreError, HTTPClientError
        from botocore.exceptions import ConnectionError as NoConnection

        try:
            return self._credentials.get_frozen_credentials()
        except (HTTPClientError, NoConnection) as error:
            raise Unavailable(f"sigv4: what gives out the AWS credentials does not answer ({error})") from None
        except BotoCoreError as error:
            raise no_keys_for_now("sigv4", error) or error from None

    def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """Return all headers for exactly this URL and body.

        The signature is valid for minutes, so sign every request. May block while credentials are read.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        # Serverless requires the body's hash as a signed header: https://github.com/opensearch-project/opensearch-js/issues/1098
        sent = {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        if body:
            sent["Content-Type"] = "application/json"
        request = AWSRequest(method=method, url=url, data=body, headers=sent)
        keys = self._keys()
        remember(keys.secret_key, keys.token)
        SigV4Auth(keys, self.service, self.region).add_auth(request)
        return dict(request.headers.items())
