"""The members of a provider: how a vendor's batch API reads, writes and reports. Pure: no I/O, no clock."""

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
    """Return the error for a job (e.g. "batch 'batch_1'") of unknown status; the job is left alone."""
    return UnknownAnswer(
        f"{job}: status {status!r} is not known to this version (known: {', '.join(known)}). "
        "The job was left alone: look at it at the provider, and clear this task once it has ended."
    )


class Tokenizer(Protocol):
    """A model's public tokenizer, as its library has it: at most 200,000 tokens a call."""

    def encode_ordinary(self, text: str) -> list[int]: ...

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """May end within a character."""
        ...


BYTES_A_TOKEN = 5
"""Without a tokenizer a text is too long only where English would be, of 4.7 characters a token, so that no text that
fits is refused: https://docs.aws.amazon.com/bedrock/latest/userguide/titan-embedding-models.html
"""
CUT_BYTES_A_TOKEN = 3
"""So many bytes a token are kept where a text is cut without a tokenizer: few texts of any language have fewer."""


class UnreadableLine(ValueError):
    """A line of an output file is no JSON, or not of the vendor's shape: the only error a reader may raise."""


class Provider(Protocol):
    """Satisfied by a module. Limits are the vendor's; a spec may only lower the limits."""

    @property
    def NAME(self) -> str: ...

    @property
    def CONNECTION(self) -> str:
        """Default id of the Airflow connection with the key and, as host, the base URL."""
        ...

    @property
    def BASE_URL(self) -> str:
        """Base URL of the vendor's API; empty where only the connection tells (a region)."""
        ...

    @property
    def ENDPOINTS(self) -> tuple[str, ...]:
        """API paths for rows; the first path is the default."""
        ...

    @property
    def CREDENTIAL(self) -> Mapping[str, str]:
        """Names of the connector's credential, with placeholder values."""
        ...

    @property
    def EXPIRING(self) -> frozenset[str]:
        """Names present in temporary credentials only."""
        ...

    @property
    def JobSettings(self) -> type[BaseModel]:
        """Fields of a spec's `model.job`, required and optional."""
        ...

    @property
    def MODEL_IN_LINES(self) -> bool:
        """Whether every request names model and parameters. If not, model and parameters are part of a job's key."""
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
        """Texts in all requests of a file."""
        ...

    @property
    def MAX_TEXTS_A_REQUEST(self) -> Mapping[str, int]:
        """By endpoint; a single text at endpoints without an entry."""
        ...

    @property
    def MAX_TEXT_BYTES_A_REQUEST(self) -> int: ...

    @property
    def STORAGE_BYTES(self) -> int | None:
        """Bytes of an account's files together; None: unbounded, paid by use."""
        ...

    @property
    def JOB_LIFE_SECONDS(self) -> float:
        """After so many seconds no job is live any more, however slow the end; on the safe side."""
        ...

    @property
    def NO_ROOM_CODES(self) -> frozenset[str]:
        """Error codes of jobs accepted, then failed at the limit of enqueued tokens."""
        ...

    @property
    def PRICE_ID(self) -> str | None:
        """The vendor's id in genai-prices; None where tokens are not billed."""
        ...

    @property
    def BATCH_PRICE_FACTOR(self) -> float:
        """Batch price over list price."""
        ...

    @property
    def STORE(self) -> str:
        """Dotted path of the vendor's store class (StoreClass and ProviderStore in providers/store.py)."""
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
        """Return the body of connectors/_create, with ${credential.…} placeholders for the credential.

        `job` is the spec's `model.job` over the connection's settings (StoreClass.settings).
        """
        ...

    def online_parameters(self, text: str, model: str, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `parameters` of a _predict, over those of `connector`, that embeds a text as a batch does. Empty
        where the model cannot be asked online for the vector of a batch.
        """
        ...

    def online_body(self, line: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the body of an online call that has a line made by `request` answered as a batch answers, for a model
        that writes; None where no such call is known.
        """
        ...

    def online_line(self, name: str, said: Any) -> bytes:
        """Return the line for `read_line` with the vendor's answer to `online_body`, as JSON values, about the request
        of this name.
        """
        ...

    def moved(self, url: str, base_url: str) -> str:
        """Return a URL of the vendor's API with `base_url` instead of the vendor's server; a foreign URL unchanged."""
        ...

    def request(
        self, name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a line of the input file; `name` is the row's id, or for several texts the group's name."""
        ...

    def with_schema(
        self, model: str, endpoint: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the parameters for `request` of a text that fits this JSON schema of an object; unchanged where the
        vendor has no such parameter: the answers are checked all the same. Raise SpecError where the parameters say
        another shape.
        """
        ...

    def with_system_prompt(
        self, model: str, endpoint: str, parameters: Mapping[str, Any], prompt: str
    ) -> dict[str, Any]:
        """Return the parameters for `request` under this system prompt. Raise SpecError where the vendor takes none, or
        the parameters have one.
        """
        ...

    def images_a_request(self, model: str, endpoint: str, detail: str | None) -> int:
        """Return the most images by URL that a request may have. Raise SpecError where a request takes none, and for a
        `detail` that is no word of the vendor's.
        """
        ...

    def with_images(self, line: Mapping[str, Any], urls: Sequence[str], detail: str | None) -> dict[str, Any]:
        """Return a line made by `request` of one text with the images at these URLs after the text. `detail` is how
        closely the model looks; None leaves that to the vendor.
        """
        ...

    def texts(self, line: Mapping[str, Any]) -> list[str]:
        """Return the texts of a line made by `request`, without the images of `with_images`."""
        ...

    def with_texts(self, line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
        """Return the request with a new name and new texts."""
        ...

    def request_id(self, line: Mapping[str, Any]) -> str:
        """Return the name in a line made by `request`."""
        ...

    def window_hours(self, job: Mapping[str, Any]) -> float:
        """Return the hours in which a batch with the settings `job` (a spec's `model.job`) ends, answered or not."""
        ...

    def output_tokens_at_most(self, model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
        """Return the most output tokens of a row's answer; 0 for embeddings, None without a bound."""
        ...

    def cuts_texts(self, model: str, parameters: Mapping[str, Any]) -> bool:
        """Return whether the vendor shortens a text above the model's limit, instead of refusing the row."""
        ...

    def tokenizer(self, model: str) -> Tokenizer | None:
        """Return the model's tokenizer; None where none is public, or its package is not installed."""
        ...

    def asked(self, model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
        """Tell the kind of answer that `request` asks for, and the length of vectors where the parameters name one.
        Raise SpecError where the vendor's batches cannot be asked for that length.
        """
        ...

    def submit_parameters(self, input_file_id: str) -> dict[str, Any]:
        """Return the `parameters` of _batch_predict for a job over this file."""
        ...

    def refusal(self, message: str) -> type[Transient] | None:
        """Classify the vendor's words of a refused submission: Throttled for "later", NoRoom where other jobs use up a
        quota of jobs, OutcomeUnknown where a job of the same name exists, None for a final refusal.
        """
        ...

    def find_query(self, input_file_id: str) -> dict[str, Any] | None:
        """Return the tasks/_search query for jobs submitted with this file; None where the vendor's answer to a
        submission does not name the file, so that the cluster cannot know.
        """
        ...

    def task_query(self, job_id: str) -> dict[str, Any]:
        """Return the tasks/_search query for the tasks of this job."""
        ...

    def job_id(self, remote_job: Mapping[str, Any]) -> str | None:
        """Return the id in a job's document, or in the answer to a submission."""
        ...

    def input_file_id(self, remote_job: Mapping[str, Any]) -> str | None:
        """Return the id of the input file in a job's document, or in the parameters of a submission."""
        ...

    def is_same_model(self, one: str, other: str) -> bool:
        """Return whether two names may mean the same model; True in doubt."""
        ...

    def read_job(self, remote_job: Mapping[str, Any]) -> RemoteJob:
        """Read a job's document. Raise UnknownAnswer for an unknown status."""
        ...

    def read_line(self, raw: bytes) -> Answer:
        """Read a line of an output file.

        Raise UnreadableLine, and no other error, for a line without JSON or of a foreign shape: the row counts as
        missing, and may be paid for again. Every other error is a fault of the reader: the fetch fails, and nothing is
        sent again. The decoders of providers/reading.py raise UnreadableLine.
        """
        ...

    def read_many(self, raw: bytes) -> Iterator[Answer | None]:
        """Read a line about a request of several texts: an answer with position for every text, in any order, None
        for an unreadable answer; or a single reason for all texts. Raise UnreadableLine as `read_line` does.
        """
        ...

    def passes(self, code: str, status: int | None = None) -> bool:
        """Return whether a row or a job failed with this code, or HTTP status, may be answered when sent again. False
        for unknown codes.
        """
        ...

    def job_path(self, job_id: str) -> str:
        """Return the path of the job below the base URL, for a GET without the cluster."""
        ...

    def job_link(self, job_id: str) -> str:
        """Return the address of the job in the vendor's web console."""
        ...
