"""Routes: list and show runs; their curves, results, models and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from evornn.service.api.auth import Reader
from evornn.service.api.parameters import (
    PREFIX,
    After,
    Cursor,
    IdList,
    Label,
    Limit,
    RunFilters,
    RunId,
    errors,
    json,
    page,
    parse_ids,
)
from evornn.service.api.parameters import service_of as service
from evornn.service.reading.design import Design
from evornn.service.wire import SAFETENSORS, Curve, Outcome, Page, outcome
from evornn.store.codec import pack
from evornn.store.records import Event, LogLine, StoredRun
from evornn.training.records import Row

router = APIRouter(prefix=PREFIX, tags=["runs"])
MOST_CURVES = 200


@dataclass(frozen=True)
class RunPage:
    """A page of the list, and its order."""

    order: Label = None
    limit: Limit = 200
    cursor: Cursor = None

    @property
    def by_number(self) -> bool:
        """Whether the cursor is the number of a run; in other orders it is a position."""
        return self.order in (None, "id")


@router.get("/runs", response_model=Page[StoredRun], responses=errors(401, 403), summary="List runs")
def runs(request: Request, caller: Reader, filters: RunFilters, part: Annotated[RunPage, Depends()]) -> Response:
    """List the runs that match all filters. `order` is a column, by default the number; `-test_loss`: largest first."""
    position = {"after": part.cursor} if part.by_number else {"offset": part.cursor or 0}
    user_service = service(request, caller)
    records = user_service.store.runs(**filters.criteria(), **position, order=part.order or "id", limit=part.limit + 1)
    more = len(records) > part.limit
    following = records[part.limit - 1].id if part.by_number and more else (part.cursor or 0) + part.limit
    return page(StoredRun, user_service.hide_folder(records[: part.limit]), following if more else None)


@router.get("/runs/{run}", response_model=StoredRun, responses=errors(401, 403, 404), summary="Show a run")
def run(request: Request, caller: Reader, run: RunId) -> Response:
    """Show the current state of a run."""
    user_service = service(request, caller)
    (record,) = user_service.hide_folder([user_service.store.run(run)])
    return json(StoredRun, record)


@router.get(
    "/runs/{run}/metrics",
    response_model=list[Row],
    responses=errors(401, 403, 404),
    summary="Show the learning curve of a run",
)
def curve(request: Request, caller: Reader, run: RunId) -> Response:
    """List the rows of a run, one per budget mark."""
    return json(list[Row], service(request, caller).store.curve(run))


@router.get("/curves", response_model=list[Curve], responses=errors(401, 403), summary="Show several learning curves")
def curves(request: Request, caller: Reader, runs: IdList) -> Response:
    """List the rows of several runs."""
    rows_by_run = service(request, caller).store.curves(parse_ids(runs, MOST_CURVES))
    return json(list[Curve], [Curve(run, rows) for run, rows in rows_by_run.items()])


@router.get(
    "/runs/{run}/result",
    response_model=Outcome,
    responses=errors(401, 403, 404),
    summary="Show the result of a run",
)
def result(request: Request, caller: Reader, run: RunId) -> Response:
    """Show the losses and the cost of a finished run, and the machine that computed it."""
    return json(Outcome, outcome(service(request, caller).store.result(run)))


@router.get(
    "/runs/{run}/network",
    response_model=Design,
    responses=errors(401, 403, 404),
    summary="Show the network design of a run",
)
def network(request: Request, caller: Reader, run: RunId) -> Response:
    """Show how to build the network of a run."""
    return json(Design, service(request, caller).design(run))


@router.get(
    "/runs/{run}/model",
    response_class=Response,
    responses={
        **errors(401, 403, 404),
        200: {"content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    },
    summary="Download the model of a run",
)
def model(request: Request, caller: Reader, run: RunId) -> Response:
    """Download the champion of a finished run as a model that stands alone: safetensors, with how its network is built
    and how columns become inputs in the header."""
    content = service(request, caller).model(run).to_bytes()
    name = {"Content-Disposition": f'attachment; filename="run-{run}.safetensors"'}
    return Response(content, 200, name, SAFETENSORS)


@router.get(
    "/runs/{run}/champion",
    response_class=Response,
    responses={
        **errors(401, 403, 404),
        200: {"content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    },
    summary="Download the champion of a run",
)
def champion(request: Request, caller: Reader, run: RunId) -> Response:
    """Download the parameters of the champion alone as safetensors: the array `genome`."""
    return Response(pack({"genome": service(request, caller).store.champion(run)}), media_type=SAFETENSORS)


@router.get(
    "/runs/{run}/events",
    response_model=Page[Event],
    responses=errors(401, 403, 404),
    summary="List the events of a run",
)
def events(request: Request, caller: Reader, run: RunId, after: After = 0, limit: Limit = 1000) -> Response:
    """List the events of a run, oldest first."""
    user_service = service(request, caller)
    user_service.store.run(run)  # raises NotFound
    items = user_service.hide_folder(user_service.store.events(run=run, after=after, limit=limit))
    return page(Event, items, items[-1].id if len(items) == limit else None)


@router.get(
    "/runs/{run}/logs",
    response_model=Page[LogLine],
    responses=errors(401, 403, 404),
    summary="List the log lines of a run",
)
def logs(request: Request, caller: Reader, run: RunId, after: After = 0, limit: Limit = 1000) -> Response:
    """List the log lines of a run, oldest first."""
    user_service = service(request, caller)
    user_service.store.run(run)  # raises NotFound
    lines = user_service.hide_folder(user_service.store.logs(run=run, after=after, limit=limit))
    return page(LogLine, lines, lines[-1].id if len(lines) == limit else None)
