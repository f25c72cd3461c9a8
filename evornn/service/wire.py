"""Records and errors as JSON and back: what the API sends and the client reads.

Non-finite numbers are the texts "NaN", "Infinity" and "-Infinity", since JSON can't express them; in rows of a query,
whose cells may also be texts, they are `{"$float": "nan"}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, RootModel

from evornn.errors import EvornnError, UnknownName
from evornn.settings import BadSetting
from evornn.store.errors import Conflict, NotFound, QuotaExceeded, StoreError, Unreachable
from evornn.store.records import StoredJob
from evornn.training.records import Result, Row

T = TypeVar("T")
_CONFIG = ConfigDict(ser_json_inf_nan="strings")
SAFETENSORS = "application/vnd.safetensors"
LONGEST_BODY = 2**20  # bytes of a request, but for the file of a model


class AccessDenied(EvornnError):
    """The token is missing, unknown or revoked, or lacks the scope for this."""


class Wire(RootModel[T], Generic[T]):
    """A value that is sent on its own, not as a page of a list."""

    model_config = _CONFIG


class Page(BaseModel, Generic[T]):
    """A page of a list. `next` is the `cursor` of the next page; null on the last one."""

    model_config = _CONFIG
    items: list[T]
    next: str | None = None


@dataclasses.dataclass(frozen=True)
class Curve:
    """The rows of a run, one per budget mark."""

    run: int
    rows: list[Row]


@dataclasses.dataclass(frozen=True)
class QueryTable:
    """The answer to a query."""

    columns: list[str]
    rows: list[list[Any]]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Answers of a registered model, a record for each; null for what is missing or infinite."""

    name: str
    version: int
    rows: list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The report of a registered model: measures, and the numbers of all charts; null for what is not known."""

    name: str
    version: int
    report: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Secret:
    """A new token. Its secret is shown only this once."""

    name: str
    token: str


@dataclasses.dataclass(frozen=True)
class Job:
    """A submitted spec, the progress of its runs, and its state in one word."""

    id: int
    experiment: str
    spec_id: str
    owner: str
    created: float
    finished: float | None
    counts: dict[str, int]
    archived: float | None
    state: str


Outcome = dataclasses.make_dataclass(  # the genome is in the model
    "Outcome",
    [(name, kind) for name, kind in get_type_hints(Result).items() if name != "genome"],
    frozen=True,
    namespace={"__doc__": Result.__doc__},
)


def encode(kind: Any, value: Any) -> bytes:
    """Encode a value of this kind as JSON."""
    return str(_wire(kind).model_construct(value).model_dump_json()).encode()


def decode(kind: Any, data: bytes | str) -> Any:
    """The inverse of `encode`. Raises ValueError for anything else."""
    return _wire(kind).model_validate_json(data).root


@cache
def _wire(kind: Any) -> Any:
    """The model of a kind. Where nobody held it, every garbage collection would have it made anew."""
    return Wire[kind]


def job_view(job: StoredJob) -> Job:
    """A job with its state in one word."""
    return Job(**dataclasses.asdict(job), state=job.state)


def outcome(result: Result) -> Any:
    """A result without its genome."""
    return Outcome(**{f.name: getattr(result, f.name) for f in dataclasses.fields(Outcome)})


KINDS: dict[str, type[EvornnError]] = {  # last part of a problem's `type` → error; of an error, the nearest class
    "not-found": NotFound,
    "conflict": Conflict,
    "unreachable": Unreachable,
    "quota": QuotaExceeded,
    "store": StoreError,
    "unknown-name": UnknownName,
    "bad-setting": BadSetting,
    "refused": AccessDenied,
    "invalid": EvornnError,
}
URN = "urn:evornn:"
MAX_MESSAGE = 500  # characters of a message


def kind_of(error: EvornnError) -> str:
    """Which of KINDS an error is."""
    nearest = next(kind for kind in type(error).__mro__ if kind in KINDS.values())
    return next(name for name, kind in KINDS.items() if kind is nearest)


def error_details(error: EvornnError) -> dict[str, Any]:
    """What an error says beyond its message."""
    if isinstance(error, UnknownName):
        return {"what": error.what, "name": shorten(str(error.name), 80), "known": error.known}
    return {"field": shorten(error.field), "problem": shorten(error.problem)} if isinstance(error, BadSetting) else {}


def error_from_problem(problem: Mapping[str, Any]) -> EvornnError:
    """The error that a problem describes, with the server's message."""
    name = str(problem.get("type", "")).removeprefix(URN)
    kind = KINDS.get(name, EvornnError)
    error = kind.__new__(kind)
    Exception.__init__(error, str(problem.get("detail") or problem.get("title") or "the server answered with an error"))
    for attribute in ("what", "name", "known", "field", "problem"):
        if attribute in problem:
            setattr(error, attribute, problem[attribute])
    return error


def shorten(text: str, max_length: int = MAX_MESSAGE) -> str:
    """Cut off a long text: a message may quote the user's input."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"
