"""Routes: submit, list, show and change jobs; their events and log lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from evornn.errors import EvornnError
from evornn.service.api import headers, streams
from evornn.service.api.auth import Caller, Reader, Submitter, check_owner
from evornn.service.api.bodies import plain_body
from evornn.service.api.examples import SPEC_BODY, TUNING_BODY
from evornn.service.api.parameters import (
    PREFIX,
    After,
    Cursor,
    JobFilters,
    JobId,
    Limit,
    RunId,
    errors,
    json,
    page,
)
from evornn.service.api.parameters import service_of as service
from evornn.service.interface import ServiceInterface
from evornn.service.tuning.step import TuningStep
from evornn.service.wire import Job, Page, job_view
from evornn.store.records import Event, LogLine

router = APIRouter(prefix=PREFIX, tags=["jobs"])
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="The same key and spec return the same job again.",
    ),
]
Priority = Annotated[int, Query(ge=-1000, le=1000, description="Runs with a larger one are computed first.")]
Change = Literal["cancel", "retry", "resume"]
STREAMED: dict[str, Any] = {"content": {streams.MEDIA: {"schema": {"type": "string"}}}}


@router.post(
    "/jobs",
    status_code=201,
    response_model=Job,
    responses=errors(400, 401, 403, 404, 413, 415),
    openapi_extra=SPEC_BODY,
    summary="Submit a spec",
)
def submit(
    request: Request,
    caller: Submitter,
    spec: Annotated[Any, Depends(plain_body)],
    key: Key = None,
    priority: Priority = 0,
) -> Response:
    """Check all runs of a spec, then queue them. The same Idempotency-Key and spec return the same job again."""
    user_service = service(request, caller)
    job = user_service.submit(_mapping(spec), idempotency_key=key, priority=priority)
    return json(Job, job_view(user_service.store.job(job)), 201, {"Location": f"{PREFIX}/jobs/{job}"})


@router.post(
    "/tunings",
    response_model=TuningStep,
    responses=errors(400, 401, 403, 404, 413, 415),
    openapi_extra=TUNING_BODY,
    summary="Continue a tuning",
)
def tune(request: Request, caller: Submitter, spec: Annotated[Any, Depends(plain_body)]) -> Response:
    """Return the next job of the tuning of a spec with ranges: a batch of trials, or at the end (`last`) the
    comparison. It is the same job until it has finished."""
    return json(TuningStep, service(request, caller).tune(_mapping(spec)))


@dataclass(frozen=True)
class JobPage:
    """A page of the list."""

    limit: Limit = 100
    cursor: Cursor = None


@router.get("/jobs", response_model=Page[Job], responses=errors(401, 403), summary="List jobs, newest first")
def jobs(request: Request, caller: Reader, filters: JobFilters, part: Annotated[JobPage, Depends()]) -> Response:
    """List the jobs that match all filters."""
    records = service(request, caller).store.jobs(**filters.criteria(), limit=part.limit + 1, before=part.cursor)
    more = records[part.limit - 1].id if len(records) > part.limit else None
    return page(Job, [job_view(job) for job in records[: part.limit]], more)


@router.get("/jobs/{job}", response_model=Job, responses=errors(401, 403, 404), summary="Show a job")
def job(request: Request, caller: Reader, job: JobId) -> Response:
    """Show a job, with its runs counted by state."""
    return json(Job, job_view(service(request, caller).store.job(job)))


@router.get(
    "/jobs/{job}/spec", response_model=dict[str, Any], responses=errors(401, 403, 404), summary="Show the spec of a job"
)
def spec(request: Request, caller: Reader, job: JobId) -> Response:
    """Show the spec as it was submitted."""
    return json(dict[str, Any], service(request, caller).store.spec(job))


@router.get(
    "/jobs/{job}/report",
    response_class=HTMLResponse,
    responses=errors(401, 403, 404),
    summary="Show the report of a job",
)
def report(request: Request, caller: Reader, job: JobId) -> Response:
    """Return the comparison of a job's runs as one HTML page."""
    page = service(request, caller).report(job)
    return HTMLResponse(page, headers={"Content-Security-Policy": headers.REPORT})


@router.delete(
    "/jobs/{job}",
    status_code=202,
    response_model=dict[str, int],
    responses=errors(401, 403, 404),
    summary="Delete a job",
)
def delete(request: Request, caller: Submitter, job: JobId) -> Response:
    """Delete a job of which no run is open, with all its data, for ever. It is gone at once from all lists; its data
    follow within seconds. Returns the number of runs."""
    store = service(request, caller).store
    check_owner(caller, store, job)
    count = store.begin_delete(job)
    request.app.state.sweeper.wake()
    return json(dict[str, int], {"runs": count}, 202)


@router.post(
    "/jobs/{job}/archive",
    response_model=dict[str, int],
    responses=errors(400, 401, 403, 404),
    summary="Archive a job",
)
def archive(
    request: Request,
    caller: Submitter,
    job: JobId,
    restore: Annotated[bool, Query(description="Put it back into the lists.")] = False,
) -> Response:
    """Take a job of which no run is open out of the lists of jobs, or put it back. Returns the number of jobs."""
    store = service(request, caller).store
    check_owner(caller, store, job)
    return json(dict[str, int], {"jobs": store.archive(job, not restore, actor=caller.name)})


@router.post(
    "/jobs/{job}/{change}",
    response_model=dict[str, int],
    responses=errors(400, 401, 403, 404),
    summary="Cancel, retry or resume a job",
)
def change_job(request: Request, caller: Submitter, job: JobId, change: Change) -> Response:
    """Change the runs of a job. Cancel: queued runs end at once, running ones within seconds. Retry: failed runs start
    over. Resume: failed and cancelled runs resume from their checkpoints. Both are refused if the data of the runs have
    changed. Returns the number of runs."""
    store = service(request, caller).store
    check_owner(caller, store, job)
    return json(dict[str, int], {"runs": change_method(service(request, caller), change)(job=job)})


@router.post(
    "/runs/{run}/{change}",
    response_model=dict[str, int],
    responses=errors(400, 401, 403, 404),
    summary="Cancel, retry or resume a run",
)
def change_run(request: Request, caller: Submitter, run: RunId, change: Change) -> Response:
    """Change one run, as `/jobs/{job}/{change}` does with all runs of a job."""
    store = service(request, caller).store
    check_owner(caller, store, store.run(run).job)
    return json(dict[str, int], {"runs": change_method(service(request, caller), change)(run=run)})


@router.get(
    "/jobs/{job}/events",
    response_model=Page[Event],
    responses={**errors(401, 403, 404), 200: STREAMED},
    summary="List the events of a job",
)
def events(request: Request, caller: Reader, job: JobId, after: After = 0, limit: Limit = 1000) -> Response:
    """List the events of a job and its runs, oldest first. With `Accept: text/event-stream`, stream them until the job
    has finished; `Last-Event-ID` resumes a stream."""
    user_service = service(request, caller)

    def fetch(last: int) -> list[Event]:
        return user_service.hide_folder(user_service.store.events(job=job, after=last, limit=limit))

    return _page_or_stream(request, caller, job, Event, fetch, after, limit)


@router.get(
    "/jobs/{job}/logs",
    response_model=Page[LogLine],
    responses={**errors(401, 403, 404), 200: STREAMED},
    summary="List the log lines of a job",
)
def logs(request: Request, caller: Reader, job: JobId, after: After = 0, limit: Limit = 1000) -> Response:
    """List the log lines of a job's runs, oldest first. With `Accept: text/event-stream`, stream them until the job has
    finished; `Last-Event-ID` resumes a stream."""
    user_service = service(request, caller)

    def fetch(last: int) -> list[LogLine]:
        return user_service.hide_folder(user_service.store.logs(job=job, after=last, limit=limit))

    return _page_or_stream(request, caller, job, LogLine, fetch, after, limit)


def change_method(user_service: ServiceInterface, change: Change) -> Callable[..., int]:
    """The method that makes a change."""
    actions: dict[str, Callable[..., int]] = {
        "cancel": user_service.cancel,
        "retry": user_service.retry,
        "resume": user_service.resume,
    }
    return actions[change]


def _mapping(spec: Any) -> dict[str, Any]:
    if not isinstance(spec, dict):
        raise EvornnError("body: must be a mapping of name, tasks, networks, trainers, seeds, budget")
    return spec


def _page_or_stream(
    request: Request,
    caller: Caller,
    job: int,
    kind: type[Any],
    fetch: streams.Fetch,
    after: int,
    limit: int,
) -> Response:
    store, is_stream = service(request, caller).store, streams.accepts_stream(request)
    if is_stream:
        request.app.state.streams.check(caller.name)  # before anything is read: a refusal should cost little
    store.job(job)  # raises NotFound
    if is_stream:
        is_ended = lambda: store.job(job).finished is not None  # noqa: E731
        source = streams.StreamSource(job, kind, limit, fetch, is_ended)
        return streams.stream(request, caller.name, source, streams.resume_position(request, after))
    items = fetch(after)
    return page(kind, items, items[-1].id if len(items) == limit else None)
