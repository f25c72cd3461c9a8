"""Filters of jobs and runs. Each field is a keyword of the store and the client, a query parameter of the API, and a
filter of the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from evornn.store.records import JobId, ModelId, RunId

Keywords = ParamSpec("Keywords")
Owner = TypeVar("Owner")
Query = TypeVar("Query")
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Selects the runs that match all given values; None matches any."""

    job: JobId | None = None
    experiment: str | None = None
    state: str | None = None
    task: str | None = None
    network: str | None = None
    trainer: str | None = None
    archived: bool | None = None  # only runs of archived jobs, or only others

    def criteria(self) -> dict[str, Any]:
        """The given values, by name."""
        return _given(self, RunFilter)


@dataclass(frozen=True, kw_only=True)
class RunQuery(RunFilter):
    """Selects a page of the runs that match.

    Pages by `after` stay fast however far they reach; pages by `offset` work in any order.
    """

    order: str = "id"  # a column; "-test_loss": largest first; runs without a value come last
    limit: int | None = None
    offset: int = 0  # skips the first ones
    after: RunId | None = None  # only runs after this one; needs the order "id"


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Selects the jobs that match all given values; None matches any."""

    state: str | None = None
    experiment: str | None = None
    owner: str | None = None
    archived: bool = False  # only archived ones; else only others

    def criteria(self) -> dict[str, Any]:
        """The given values, by name."""
        return _given(self, JobFilter)


@dataclass(frozen=True, kw_only=True)
class JobQuery(JobFilter):
    """Selects a page of the jobs that match, newest first."""

    limit: int | None = None
    before: JobId | None = None  # only jobs older than this one


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """Selects the versions of models that match all given values; None matches any."""

    name: str | None = None
    owner: str | None = None

    def criteria(self) -> dict[str, Any]:
        """The given values, by name."""
        return _given(self, ModelFilter)


@dataclass(frozen=True, kw_only=True)
class ModelQuery(ModelFilter):
    """Selects a page of the versions that match, newest first."""

    limit: int | None = None
    before: ModelId | None = None  # only those older than this one


def keywords_of(
    record: Callable[Keywords, Query],
) -> Callable[[Callable[[Owner, Query], Answer]], Callable[Concatenate[Owner, Keywords], Answer]]:
    """Decorate a method that takes one record: it is called with the record's fields as keywords instead, such as
    `store.runs(job=1, limit=10)`."""

    def decorate(method: Callable[[Owner, Query], Answer]) -> Callable[Concatenate[Owner, Keywords], Answer]:
        @wraps(method)
        def call(self: Owner, /, *values: Keywords.args, **keywords: Keywords.kwargs) -> Answer:
            return method(self, record(*values, **keywords))

        first, *_ = signature(method).parameters.values()
        keywords = signature(record).parameters.values()
        call.__signature__ = signature(method).replace(parameters=[first, *keywords])  # type: ignore[attr-defined]
        return call

    return decorate


def _given(record: Any, kind: type[Any]) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(kind)}
    return {name: value for name, value in values.items() if value is not None}
