"""Errors of the package, by the caller's next step. Airflow fails a task on Terminal and retries a task on Transient.

BatchError
├── Terminal                 stop and tell a person: repeating cannot help
│   ├── SpecError            the spec, or an operator's arguments, are wrong
│   ├── InputError           rows of the input cannot be sent
│   │   └── NoSuchObject     an object is not there
│   ├── BudgetExceeded       the plan costs more than the spec allows
│   ├── PaidBefore           another run has paid for the same rows
│   ├── TriedLongEnough      a submission found no room in all the time that it was tried
│   ├── Refused              the cluster or the provider refused, and will refuse again
│   │   ├── NoRoute          the cluster does not know the path
│   │   └── ReasonsUnread    the file of a job's refused rows cannot be read; the answers can
│   ├── CannotLook           the cluster refuses every status read of a job, but the job itself is fine
│   └── UnknownAnswer        an answer, state or event unknown to this version
└── Transient                try again later
    ├── Unavailable          down, starting, overloaded, or the answer was lost on the way
    │   ├── NotTaken         a node took nothing and sent nothing on: a second node may take the call at once
    │   └── KeyExpired       the credentials have expired: read the connection again
    ├── Throttled            told to slow down
    │   └── NoRoom           no further job is taken until another has ended
    │       └── TaskLimit    the cluster counts too many open batch tasks
    └── OutcomeUnknown       a submission may or may not have reached the provider: look before submitting again
"""

from __future__ import annotations

from opensearch_batch.scrubbing import scrubbed


class BatchError(Exception):
    """Base of all errors of the package. The message holds no secret of a connection in use.

    `status` is the HTTP status of the reply, if any; `retry_after_seconds` the pause requested by the server, if any.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(scrubbed(message))
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Terminal(BatchError):
    """Repeating cannot help; Airflow fails the task at once."""


class Transient(BatchError):
    """A later try may succeed; Airflow retries the task, after `retry_after_seconds` if the server named a pause."""


class SpecError(Terminal):
    """The spec or an operator's arguments are wrong.

    Do: correct the field that the error names, and clear the task. Nothing was sent.
    """


class InputError(Terminal):
    """Rows of the input cannot be sent, or the input cannot be read.

    Do: correct the rows; the error names the first twenty with file and line. Or skip them, with
    `input.bad_rows: skip`. Then clear `prepare_input`. Nothing was sent.
    """


class NoSuchObject(InputError):
    """An object that is to be read is not there.

    Do: correct the name, or put the object there. Then clear the task.
    """


class BudgetExceeded(Terminal):
    """The plan costs more than the spec allows; nothing was sent.

    Do: raise `limits.max_cost_usd`, or bound the rows with `input.max_records`; where the price is not known give
    `limits.usd_per_million_tokens`. Then clear `prepare_input`.
    """


class PaidBefore(Terminal):
    """Another run has sent the same rows to the same model, and `limits.same_input` is `refuse`; or it is `share`, and
    the answers are no longer at the provider. Nothing was sent.

    Do: clear the named run, if its answers are only to land again. To pay a second time start a run with the conf
    `{"force_resubmit": true}`.
    """


class CancelledElsewhere(Terminal):
    """The job of another run, shared by this run (`limits.same_input: share`), was cancelled before it had an answer.

    Do: clear `submit_batch` with what follows. It takes the job that the other run has sent since, or sends the rows
    itself, and pays for them.
    """


class TriedLongEnough(Terminal):
    """A submission was tried every five minutes, and found no room, or another run's job in its way, each time. So it
    went on for `wait.timeout_hours`, or until `wait.finish_by`.

    Do: make room (the error has the words of the cluster or the provider), and clear the task. It submits what is
    left, and nothing twice.
    """


class Refused(Terminal):
    """The cluster or the provider refused, and will refuse again.

    Do: follow the error's last sentence: the setting, the permission or the connection to change. Then clear the task.
    """


class NoRoute(Refused):
    """The cluster does not know the path; a different version may have the path under a different name.

    Do: check that the connection's host is OpenSearch 2.17 or later with ML Commons, and no proxy that drops paths.
    """


class ReasonsUnread(Refused):
    """The file of a job's refused rows cannot be read; the answers can, and land.

    Do: look at the job at the provider. The rows without an answer are failures with this reason.
    """


class CannotLook(Terminal):
    """The cluster refuses every status read of the job; the job itself is not affected.

    Do: nothing. The job is followed at the provider.
    """


class UnknownAnswer(Terminal):
    """An answer, state or event unknown to this version of the package.

    Do: look at the job at the provider, and clear the task once the job has ended. The job was left alone.
    """


class Unavailable(Transient):
    """Down, starting, overloaded, or the answer was lost on the way.

    Do: nothing for now: the task tries again. If the error persists, look at the cluster or the provider named in it.
    """


class NotTaken(Unavailable):
    """A node took nothing and sent nothing on: the same call may be sent again at once, for a second node to take.

    Do: nothing; the call goes to the next node. An administrator ends the cause with the line printed in the log.
    """


class KeyExpired(Unavailable):
    """The credentials have expired: the holder of a client makes a new client from the connection.

    Do: nothing where the connection gives out new keys by itself; else write a new key into the connection.
    """


class Throttled(Transient):
    """The cluster or the provider told the package to slow down.

    Do: nothing: the task tries again, after the pause requested by the server. If the error comes often, lower
    `limits.max_jobs_in_flight`.
    """


class NoRoom(Throttled):
    """The provider takes no further job until another has ended; no job was made. A submission does not fail with this
    error: it waits for room, deferred.

    Do: nothing: the submission is tried every five minutes.
    """


class TaskLimit(NoRoom):
    """The cluster counts too many open batch tasks; nothing was sent to the provider. A submission fails with this
    error where the jobs of all counted tasks have ended and the cluster cannot see that: no place comes free by itself.

    Do: free places by the runbook docs/runbook-task-limit.md, and clear the task, once it has failed.
    """


class OutcomeUnknown(Transient):
    """A submission may have reached the provider: look for its job before submitting again.

    Do: nothing: the next try looks for the job first, and submits again only once the cluster must have given up.
    """
