"""AWS credentials that cannot be had for now: what gives them out, an agent or a role, does not answer."""

from __future__ import annotations

from opensearch_batch.errors import Unavailable


def no_keys_for_now(what: str, error: Exception) -> Unavailable | None:
    """Return the error of a step that needs the keys, begun with `what`; None for an error of another kind."""
    from botocore.exceptions import CredentialRetrievalError, MetadataRetrievalError, TokenRetrievalError

    if not isinstance(error, CredentialRetrievalError | MetadataRetrievalError | TokenRetrievalError):
        return None
    return Unavailable(
        f"{what}: no AWS credentials for now ({error}). If that stays, look at what gives them out on this machine: "
        "an agent, a role, a command, a login"
    )
