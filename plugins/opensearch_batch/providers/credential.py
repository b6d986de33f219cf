"""Where no key may stand: in a connector body, which has names, and in an address, which is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opensearch_batch.errors import SpecError


def refuse_literal_credential(names: Mapping[str, Any]) -> None:
    """Raise SpecError for a key written into the body: everybody with the DAG could read the key."""
    for name, value in names.items():
        if value and not str(value).startswith(("<", "${")):
            raise SpecError(
                f"credential {name!r} is written into the connector body; keys come from a connection: "
                "put a <placeholder> there"
            )


def refuse_login_in(address: str, conn_id: str) -> None:
    """Raise SpecError, without showing it, for a login in a server's address: the address goes into the connector."""
    try:
        named = urlsplit(address if "://" in address else f"//{address}").username
    except ValueError:
        raise SpecError(f"connection {conn_id!r}: the address of its server is none") from None
    if named is not None:
        raise SpecError(
            f"connection {conn_id!r} has a login in the address of its server, which is shown and stored: "
            "take it out; the key goes into the password"
        )
