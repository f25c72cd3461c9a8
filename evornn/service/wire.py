"""Records and errors as JSON and back: what the API sends and the client reads.

Numbers that aren't finite are the texts "NaN", "Infinity" and "-Infinity", since JSON has no word for them; in rows of
a query, where a text may stand as well, `{"$float": "nan"}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, RootModel

from evornn.errors import EvornnError, UnknownName
from evornn.settings import BadSetting
from evornn.store.errors import Conflict, NotFound, StoreError, Unreachable
from evornn.store.records import StoredJob
from evornn.training.records import Result, Row

T = TypeVar("T")
_CONFIG = ConfigDict(ser_json_inf_nan="strings")


class AccessDenied(EvornnError):
    """A token that is missing, unknown, revoked, or may not do this."""


class Wire(RootModel[T], Generic[T]):
    """Anything that is sent by itself."""

    model_config = _CONFIG


class Page(BaseModel, Generic[T]):
    """A part of a list. `next` is the `cursor` of the part after it; null at the end."""

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
class Secret:
    """A new token, shown this once."""

    name: str
    token: str


@dataclasses.dataclass(frozen=True)
class Job:
    """A submitted spec, how far it is, and its state in one word."""

    id: int
    experiment: str
    spec_id: str
    owner: str
    created: float
    finished: float | None
    counts: dict[str, int]
    state: str


Outcome = dataclasses.make_dataclass(  # the genome is in the model
    "Outcome",
    [(name, kind) for name, kind in get_type_hints(Result).items() if name != "genome"],
    frozen=True,
    namespace={"__doc__": Result.__doc__},
)


def encode(kind: Any, value: Any) -> bytes:
    """JSON of a value of this kind."""
    wire: Any = Wire[kind]
    return str(wire.model_construct(value).model_dump_json()).encode()


def decode(kind: Any, data: bytes | str) -> Any:
    """The opposite of `encoded`. Raises ValueError for anything else."""
    wire: Any = Wire[kind]
    return wire.model_validate_json(data).root


def job_view(job: StoredJob) -> Job:
    """A job with its state in one word."""
    return Job(**dataclasses.asdict(job), state=job.state)


def outcome(result: Result) -> Any:
    """A result without its genome."""
    return Outcome(**{f.name: getattr(result, f.name) for f in dataclasses.fields(Outcome)})


KINDS: dict[str, type[EvornnError]] = {  # the last part of a problem's `type`; the nearest class counts
    "not-found": NotFound,
    "conflict": Conflict,
    "unreachable": Unreachable,
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
    """What an error knows beside its message."""
    if isinstance(error, UnknownName):
        return {"what": error.what, "name": shorten(str(error.name), 80), "known": error.known}
    return {"field": shorten(error.field), "problem": shorten(error.problem)} if isinstance(error, BadSetting) else {}


def error_from_problem(problem: Mapping[str, Any]) -> EvornnError:
    """The error that a problem tells of, with the server's message."""
    name = str(problem.get("type", "")).removeprefix(URN)
    kind = KINDS.get(name, EvornnError)
    error = kind.__new__(kind)
    Exception.__init__(error, str(problem.get("detail") or problem.get("title") or "the server answered with an error"))
    for attribute in ("what", "name", "known", "field", "problem"):
        if attribute in problem:
            setattr(error, attribute, problem[attribute])
    return error


def shorten(text: str, max_length: int = MAX_MESSAGE) -> str:
    """A message that quotes what was given doesn't become long by it."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"
