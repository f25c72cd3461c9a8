"""A field of a filter is a keyword of the store, a query parameter of the API and a filter of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from inspect import signature
from typing import Any

import pytest
from stores import SPEC, new_runs

from evornn.dashboards import runs as dashboard
from evornn.service.api.app import create_app
from evornn.store.filters import JobFilter, JobQuery, RunFilter, RunQuery
from evornn.store.store import Store, open_store

VALUES = {
    "job": 2,
    "experiment": "other",
    "state": "cancelled",
    "task": "adding",
    "network": "lstm",
    "trainer": "snes",
    "owner": "ann",
    "archived": True,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two jobs that differ in whatever a filter is about."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db") as opened:
        opened.submit(SPEC, new_runs(2))
        labels = {name: VALUES[name] for name in ("task", "network", "trainer")}
        other = [replace(run, **labels) for run in new_runs(1)]
        opened.submit(SPEC, other, experiment="other", owner="ann")
        opened.cancel(job=2)
        opened.archive(2)
        yield opened


def names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


@pytest.mark.parametrize("name", names(RunFilter))
def test_each_field_filters_runs(store: Store, name: str) -> None:
    keywords = {name: VALUES[name]}
    assert [run.id for run in store.runs(**keywords)] == [3] and store.count_runs(**keywords) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("name", names(JobFilter))
def test_each_field_filters_jobs(store: Store, name: str) -> None:
    keywords = {"archived": True, name: VALUES[name]}  # else archived jobs are left out
    assert [job.id for job in store.jobs(**keywords)] == [2]  # type: ignore[arg-type]


def test_nothing_given_filters_nothing(store: Store) -> None:
    assert RunFilter().criteria() == {}
    assert JobQuery(limit=3, before=9).criteria() == {"archived": False}, "a list of jobs leaves archived ones out"
    assert RunQuery(job=2, state=None, order="-id", limit=5).criteria() == {"job": 2}
    assert store.count_runs() == store.count_runs(job=None, state=None) == 3


def test_fields_are_keywords(store: Store) -> None:
    assert list(signature(store.runs).parameters) == names(RunQuery)
    assert list(signature(store.jobs).parameters) == names(JobQuery)
    assert signature(store.count_runs).parameters["state"].default is None
    with pytest.raises(TypeError, match="stage"):
        store.runs(stage="queued")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        store.runs(1)  # type: ignore[call-arg]


def test_fields_are_query_parameters(store: Store) -> None:
    routes = create_app(store).openapi()["paths"]
    parameters = {
        path: [p["name"] for p in routes[f"/api/v1/{path}"]["get"]["parameters"]] for path in ("runs", "jobs")
    }
    assert parameters["runs"] == [*names(RunFilter), "order", "limit", "cursor"]
    assert parameters["jobs"] == [*names(JobFilter), "limit", "cursor"]


def test_fields_are_filters_of_the_dashboard() -> None:
    filtered = {column["field"] for column in dashboard.grid({}).columnDefs if column.get("filter")}
    assert filtered == set(names(RunFilter)) - {"archived"}
