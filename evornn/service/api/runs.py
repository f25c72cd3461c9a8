"""Runs: list, look, curves, results, models, events."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from evornn.service.api.auth import Reader
from evornn.service.api.parameters import (
    PREFIX,
    After,
    Cursor,
    IdList,
    JobFilter,
    Label,
    Limit,
    RunId,
    State,
    errors,
    json,
    page,
    parse_ids,
)
from evornn.service.api.parameters import service_of as service
from evornn.service.reading.saved_network import Design, SavedNetwork
from evornn.service.wire import Curve, Outcome, Page, outcome
from evornn.store.codec import pack
from evornn.store.records import Event, LogLine, StoredRun
from evornn.training.records import Row

router = APIRouter(prefix=PREFIX, tags=["runs"])
SAFETENSORS = "application/vnd.safetensors"
MOST_CURVES = 200


@router.get("/runs", response_model=Page[StoredRun], responses=errors(401, 403), summary="List runs")
def runs(
    request: Request,
    caller: Reader,
    job: JobFilter = None,
    experiment: Label = None,
    state: State = None,
    task: Label = None,
    network: Label = None,
    trainer: Label = None,
    order: Label = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Response:
    """`order` is a column, `-test_loss` largest first; by default the number."""
    position = {"after": cursor} if order in (None, "id") else {"offset": cursor or 0}
    records = service(request).store.runs(
        job=job,
        experiment=experiment,
        state=state,
        task=task,
        network=network,
        trainer=trainer,
        order=order or "id",
        limit=limit + 1,
        **position,
    )
    following = records[limit - 1].id if "after" in position and len(records) > limit else (cursor or 0) + limit
    return page(StoredRun, records[:limit], following if len(records) > limit else None)


@router.get("/runs/{run}", response_model=StoredRun, responses=errors(401, 403, 404), summary="One run")
def run(request: Request, caller: Reader, run: RunId) -> Response:
    return json(StoredRun, service(request).store.run(run))


@router.get(
    "/runs/{run}/metrics", response_model=list[Row], responses=errors(401, 403, 404), summary="Its learning curve"
)
def curve(request: Request, caller: Reader, run: RunId) -> Response:
    return json(list[Row], service(request).store.curve(run))


@router.get("/curves", response_model=list[Curve], responses=errors(401, 403), summary="Curves of several runs")
def curves(request: Request, caller: Reader, runs: IdList) -> Response:
    rows_by_run = service(request).store.curves(parse_ids(runs, MOST_CURVES))
    return json(list[Curve], [Curve(run, rows) for run, rows in rows_by_run.items()])


@router.get(
    "/runs/{run}/result",
    response_model=Outcome,
    responses=errors(401, 403, 404),
    summary="Its losses and cost, and the machine that computed it",
)
def result(request: Request, caller: Reader, run: RunId) -> Response:
    return json(Outcome, outcome(service(request).store.result(run)))


@router.get(
    "/runs/{run}/network", response_model=Design, responses=errors(401, 403, 404), summary="How to build its network"
)
def network(request: Request, caller: Reader, run: RunId) -> Response:
    return json(Design, service(request).design(run))


@router.get(
    "/runs/{run}/model",
    response_class=Response,
    responses={
        **errors(401, 403, 404),
        200: {"content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    },
    summary="Its champion as safetensors, with the design in the head",
)
def model(request: Request, caller: Reader, run: RunId) -> Response:
    user_service = service(request)
    genome = user_service.store.champion(run)
    name = {"Content-Disposition": f'attachment; filename="run-{run}.safetensors"'}
    return Response(SavedNetwork(user_service.design(run), genome).to_bytes(), 200, name, SAFETENSORS)


@router.get(
    "/runs/{run}/champion",
    response_class=Response,
    responses={
        **errors(401, 403, 404),
        200: {"content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    },
    summary="Its champion alone as safetensors: `genome`",
)
def champion(request: Request, caller: Reader, run: RunId) -> Response:
    return Response(pack({"genome": service(request).store.champion(run)}), media_type=SAFETENSORS)


@router.get(
    "/runs/{run}/events", response_model=Page[Event], responses=errors(401, 403, 404), summary="What happened to it"
)
def events(request: Request, caller: Reader, run: RunId, after: After = 0, limit: Limit = 1000) -> Response:
    store = service(request).store
    store.run(run)  # raises NotFound
    items = store.events(run=run, after=after, limit=limit)
    return page(Event, items, items[-1].id if len(items) == limit else None)


@router.get("/runs/{run}/logs", response_model=Page[LogLine], responses=errors(401, 403, 404), summary="What it logged")
def logs(request: Request, caller: Reader, run: RunId, after: After = 0, limit: Limit = 1000) -> Response:
    store = service(request).store
    store.run(run)  # raises NotFound
    lines = store.logs(run=run, after=after, limit=limit)
    return page(LogLine, lines, lines[-1].id if len(lines) == limit else None)
