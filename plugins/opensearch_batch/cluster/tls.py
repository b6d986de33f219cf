"""TLS options of a connection's extra, and advice after a failed handshake.

Extra: `verify` is true, false, or the path of a CA bundle on the connecting machine (every worker and triggerer);
`cert` is the path of the client's certificate, or a pair of paths, certificate and key.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from opensearch_batch.errors import SpecError

_ADVICE = (
    ("certificate has expired", "The cluster's certificate has expired: its owner must renew it."),
    (
        "Hostname mismatch|IP address mismatch|doesn't match",
        "The cluster's certificate was made for another name: give that one as the connection's host.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "This machine does not know who signed the cluster's certificate: name the authority's file in the "
        'connection\'s extra: {"verify": "/path/to/ca.pem"}',
    ),
    (
        "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|record layer failure|wrong version number",
        'The cluster does not speak https at this port: set the connection\'s schema to "http" (type opensearch: '
        '"use_ssl": false in its extra).',
    ),
    (
        "CERTIFICATE_REQUIRED|certificate required",
        'The cluster asks for a client certificate; the connection\'s extra names it: {"cert": "/path/to/client.pem"}',
    ),
)


def refused_by(error: Exception) -> str:
    """Return advice after a TLS error of requests or httpx, which no retry mends; "" for any error beside TLS."""
    text = str(error)
    return next((advice for signs, advice in _ADVICE if any(sign in text for sign in signs.split("|"))), "")


def check_file(verify: Any) -> None:
    """Raise SpecError for a CA bundle that is absent from the machine."""
    if isinstance(verify, str) and not Path(verify).exists():
        raise SpecError(f'the connection\'s extra names "verify": {verify!r}, and this machine has no such file')


def context(verify: Any, cert: Any) -> ssl.SSLContext | bool:
    """Return httpx's `verify` argument for the options `verify` and `cert`.

    httpx no longer accepts paths (https://www.python-httpx.org/advanced/ssl/). Raise SpecError for an absent CA bundle.
    """
    import httpx

    check_file(verify)
    if not isinstance(verify, str) and not cert:
        return bool(verify)
    if isinstance(verify, str):
        is_folder = Path(verify).is_dir()
        made = ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    else:
        made = httpx.create_ssl_context(verify=bool(verify))
    if cert:
        made.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return made
