"""What a provider's file must answer: how one vendor's batch API reads, writes and reports. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from opensearch_batch.errors import Transient, UnknownAnswer
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.jobs import RemoteJob

if TYPE_CHECKING:
    from pydantic import BaseModel


def unknown_status(job: str, status: object, known: Iterable[str]) -> UnknownAnswer:
    """Of a job, e.g. "batch 'batch_1'": nothing is done about it."""
    return UnknownAnswer(
        f"{job}: status {status!r} is not known to this version (known: {', '.join(known)}). "
        "The job was left alone: look at it at the provider, and clear this task once it has ended."
    )


class UnreadableLine(ValueError):
    """A line of an output file is no JSON, or has another shape than the vendor's: the one error of a reader."""


class Provider(Protocol):
    """Satisfied by a module. Limits are the vendor's own; a spec may only lower them."""

    @property
    def NAME(self) -> str: ...

    @property
    def CONNECTION(self) -> str:
        """Default id of the Airflow connection that holds the key and, as host, the base URL."""
        ...

    @property
    def BASE_URL(self) -> str:
        """Of the vendor's own API; empty where that depends on what the connection says."""
        ...

    @property
    def ENDPOINTS(self) -> tuple[str, ...]:
        """API paths that rows can be sent to; the first is the default."""
        ...

    @property
    def CREDENTIAL(self) -> Mapping[str, str]:
        """Names of the connector's credential, with placeholder values."""
        ...

    @property
    def EXPIRING(self) -> frozenset[str]:
        """Names in a credential that tell that it ends by itself."""
        ...

    @property
    def JobSettings(self) -> type[BaseModel]:
        """What `model.job` of a spec may, or must, hold."""
        ...

    @property
    def MODEL_IN_LINES(self) -> bool:
        """Whether each request names model and parameters. Where not, they too tell which jobs are the same."""
        ...

    @property
    def MIN_REQUESTS(self) -> int:
        """A file with fewer is refused by the vendor."""
        ...

    @property
    def MAX_REQUESTS(self) -> int: ...

    @property
    def MAX_BYTES(self) -> int: ...

    @property
    def MAX_INPUTS(self) -> int:
        """Texts in all requests of one file."""
        ...

    @property
    def MAX_TEXTS_A_REQUEST(self) -> Mapping[str, int]:
        """By endpoint; one where it is not named."""
        ...

    @property
    def MAX_TEXT_BYTES_A_REQUEST(self) -> int: ...

    @property
    def STORAGE_BYTES(self) -> int | None:
        """What all files of an account may have together; None: as much as one pays for."""
        ...

    @property
    def JOB_LIFE_SECONDS(self) -> float:
        """After this no job is live any more, however slow its end; on the safe side."""
        ...

    @property
    def NO_ROOM_CODES(self) -> frozenset[str]:
        """Error codes of a job that was accepted and then failed because too much was enqueued."""
        ...

    @property
    def PRICE_ID(self) -> str | None:
        """The vendor's id in genai-prices; None where it does not bill tokens."""
        ...

    @property
    def BATCH_PRICE_FACTOR(self) -> float:
        """Batch price over list price."""
        ...

    @property
    def STORE(self) -> str:
        """Dotted path of the class that moves this vendor's files (its store.py)."""
        ...

    def connector(
        self,
        name: str,
        model: str,
        endpoint: str,
        parameters: Mapping[str, Any],
        base_url: str,
        job: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Body of connectors/_create, credentials as ${credential.…} placeholders.

        `job` is the spec's `model.job`, over what the connection says of the same (StoreClass.settings).
        """
        ...

    def moved(self, url: str, base_url: str) -> str:
        """The vendor's own URL at another server of its API; any other URL as it is."""
        ...

    def request(
        self, name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One line of the input file; `name` is its row's id, or of several texts the group's name."""
        ...

    def texts(self, line: Mapping[str, Any]) -> list[str]:
        """Of a request that `request` made."""
        ...

    def with_texts(self, line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
        """The same request under another name and for other texts."""
        ...

    def request_id(self, line: Mapping[str, Any]) -> str:
        """The name that `request` wrote into this line."""
        ...

    def window_hours(self, job: Mapping[str, Any]) -> float:
        """Hours from a submission with these settings (`model.job`) to the batch's end, with or without answers."""
        ...

    def output_tokens_at_most(self, model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
        """What one row's answer may cost in output tokens; 0 where there are none, None where nothing bounds it."""
        ...

    def asked(self, model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
        """Tell the kind of answer that `request` asks for, and the length of vectors where the parameters name one."""
        ...

    def submit_parameters(self, input_file_id: str) -> dict[str, Any]:
        """`parameters` of _batch_predict that make the job read this file."""
        ...

    def refusal(self, message: str) -> type[Transient] | None:
        """What the vendor's words in a refused submission mean, where that is not the end of it: Throttled for "later",
        OutcomeUnknown where a job of this name exists already. None for all else.
        """
        ...

    def find_query(self, input_file_id: str) -> dict[str, Any] | None:
        """tasks/_search query that finds the jobs submitted with this file; None where the vendor's answer to a
        submission does not name it, so that the cluster cannot know.
        """
        ...

    def task_query(self, job_id: str) -> dict[str, Any]:
        """tasks/_search query that finds the tasks of this job."""
        ...

    def job_id(self, remote_job: Mapping[str, Any]) -> str | None:
        """Also of the answer to a submission, which may hold nothing else."""
        ...

    def input_file_id(self, remote_job: Mapping[str, Any]) -> str | None:
        """Of a job, or of the parameters of a submission."""
        ...

    def is_same_model(self, one: str, other: str) -> bool:
        """Whether two names may mean the same model; in doubt they do."""
        ...

    def read_job(self, remote_job: Mapping[str, Any]) -> RemoteJob:
        """Raise UnknownAnswer for a status this version does not know."""
        ...

    def read_line(self, raw: bytes) -> Answer:
        """Read a line of an output file.

        Raise UnreadableLine, and nothing else, for a line that is no JSON or has another shape: its row counts as
        missing, and may be paid for again. Any other error is a fault of the reader: the fetch fails, and nothing is
        sent again. providers/reading.py has decoders that raise so.
        """
        ...

    def read_many(self, raw: bytes) -> Iterator[Answer | None]:
        """A line about a request of several texts: each text's answer with its position, in any order, None for an
        answer that cannot be read; or one reason for all. Raises as `read_line` does.
        """
        ...

    def passes(self, code: str, status: int | None = None) -> bool:
        """Whether a row or a whole job that failed with this code, or HTTP status, may be answered when it is sent
        again. False for what is not known.
        """
        ...

    def job_path(self, job_id: str) -> str:
        """Path below the base URL where the provider itself shows the job; GET it to look without the cluster."""
        ...

    def job_link(self, job_id: str) -> str:
        """Address of the job in the vendor's web console."""
        ...
