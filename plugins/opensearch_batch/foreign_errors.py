"""Errors as Airflow prints them: with the whole chain of what they came from, and without keys in anybody's words.

An error of ours is scrubbed where it is made. Behind it stands what a vendor's SDK, a storage or a database said, and
other errors come from there unseen.
"""

from __future__ import annotations

import traceback

from opensearch_batch.errors import BatchError
from opensearch_batch.scrubbing import scrubbed


class Foreign(Exception):
    """Stands for an error that showed a key: the error's type and words without the key, at the same place."""


def without_keys(error: BaseException) -> BaseException:
    """Return the error, with a Foreign for each error of its chain that shows a key known by now; the error itself may
    be one of those.
    """
    return _cleaned(error, {})


def _cleaned(error: BaseException, done: dict[int, BaseException]) -> BaseException:
    if (known := done.get(id(error))) is not None:  # a chain may be a circle
        return known
    clean = done[id(error)] = _alone(error)
    for name in ("__cause__", "__context__"):
        if (behind := getattr(error, name)) is not None:
            suppressed = error.__suppress_context__
            setattr(clean, name, _cleaned(behind, done))
            clean.__suppress_context__ = suppressed  # setting a cause sets it
    return clean


def _alone(error: BaseException) -> BaseException:
    is_group = isinstance(error, BaseExceptionGroup)  # whose members have chains of their own
    told = "".join(traceback.format_exception(error) if is_group else traceback.format_exception_only(error)).strip()
    shown = scrubbed(told)
    if shown == told:
        return error
    if isinstance(error, BatchError):  # made before the key was known; its class says who retries
        error.args = tuple(scrubbed(str(each)) for each in error.args)
        return error
    return Foreign(shown).with_traceback(error.__traceback__)
