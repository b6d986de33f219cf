"""What can go wrong, by what the caller should do about it.

BatchError
├── Terminal                 stop and tell a person: repeating cannot help
│   ├── SpecError            the spec, or an operator's arguments, are wrong
│   ├── InputError           a record of the input cannot be sent
│   ├── BudgetExceeded       the plan costs more than the spec allows
│   ├── Refused              the cluster or the provider said no, and will again
│   │   └── NoRoute          the cluster does not have the path that was asked for
│   ├── CannotLook           the cluster refuses every status read of this job, but the job itself is fine
│   └── UnknownAnswer        an answer, state or event that this version does not know
└── Transient                try again later
    ├── Unavailable          down, starting, overloaded, or the answer was lost on the way
    │   ├── NotTaken         this node took nothing and sent nothing on: another one may take it at once
    │   └── KeyExpired       the credentials were good for a time that is over: read the connection again
    ├── Throttled            asked to slow down
    │   └── TaskLimit        the cluster counts too many open batch tasks
    └── OutcomeUnknown       a submission may or may not have reached the provider: look before the next one
"""

from __future__ import annotations


class BatchError(Exception):
    """Base of all errors of this package; `status` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Terminal(BatchError):
    """Repeating cannot help."""


class Transient(BatchError):
    """A later try may succeed; `retry_after_seconds` is what the server asked for, if it did."""


class SpecError(Terminal):
    """The spec or an operator's arguments are wrong.

    Do: correct the field that the error names, and clear the task. Nothing was sent.
    """


class InputError(Terminal):
    """A record of the input cannot be sent.

    Do: correct the row; the error names file and line. Then clear `prepare_input`. Nothing was sent.
    """


class BudgetExceeded(Terminal):
    """The plan costs more than the spec allows; nothing was sent.

    Do: raise `limits.max_cost_usd`, or bound the rows with `input.max_records`; where the price is not known give
    `limits.usd_per_million_tokens`. Then clear `prepare_input`.
    """


class Refused(Terminal):
    """The cluster or the provider said no, and will again.

    Do: follow the error's last sentence: the setting, the permission or the connection to change. Then clear the task.
    """


class NoRoute(Refused):
    """The cluster does not have the path that was asked for; another version may have it under another name.

    Do: check that the connection's host is OpenSearch 2.17 or later with ML Commons, and no proxy that drops paths.
    """


class CannotLook(Terminal):
    """The cluster refuses every status read of this job; the job itself is not affected.

    Do: nothing. The job is followed at the provider.
    """


class UnknownAnswer(Terminal):
    """An answer, state or event that this version does not know.

    Do: look at the job at the provider, and clear the task once the job has ended. The job was left alone.
    """


class Unavailable(Transient):
    """Down, starting, overloaded, or the answer was lost on the way.

    Do: nothing for now: the task tries again. If it stays so, look at the cluster or the provider that the error names.
    """


class NotTaken(Unavailable):
    """This node took nothing and sent nothing on: the same call may be sent again at once, and another node take it.

    Do: nothing; the call goes to the next node. An administrator ends it with the line that the log prints.
    """


class KeyExpired(Unavailable):
    """The credentials were good for a time that is over: whoever keeps a client makes a new one from the connection.

    Do: nothing where the connection gives out new keys by itself; else write a new key into the connection.
    """


class Throttled(Transient):
    """Asked to slow down.

    Do: nothing: the task tries again, after the time that the server asked for. If it comes often, lower
    `limits.max_jobs_in_flight`.
    """


class TaskLimit(Throttled):
    """The cluster counts too many open batch tasks; nothing was sent to the provider.

    Do: nothing for now: the task tries every five minutes. The runbook docs/runbook-task-limit.md frees places.
    """


class OutcomeUnknown(Transient):
    """A submission may have reached the provider: look for its job before submitting again.

    Do: nothing: the next try looks for the job first, and submits again only once the cluster must have given up.
    """
