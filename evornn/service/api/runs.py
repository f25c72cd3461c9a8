"""Runs: list, look, curves, results, models, events."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from evornn.service.api.auth import Reader
from evornn.service.api.parameters import (
    PREFIX,
    After,
    Cursor,
    Label,
    Limit,
    Numbers,
    OfJob,
    RunId,
    State,
    errors,
    json,
    numbers,
    page,
)
from evornn.service.api.parameters import service_of as service
from evornn.service.reading.saved_network import Design, Model
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
    job: OfJob = None,
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
    where = {"after": cursor} if order in (None, "id") else {"offset": cursor or 0}
    found = service(request).store.runs(
        job=job,
        experiment=experiment,
        state=state,
        task=task,
        network=network,
        trainer=trainer,
        order=order or "id",
        limit=limit + 1,
        **where,
    )
    following = found[limit - 1].id if "after" in where and len(found) > limit else (cursor or 0) + limit
    return page(StoredRun, found[:limit], following if len(found) > limit else None)


@router.get("/runs/{run}", response_model=StoredRun, responses=errors(401, 403, 404), summary="One run")
def run(request: Request, caller: Reader, run: RunId) -> Response:
    return json(StoredRun, service(request).store.run(run))


@router.get(
    "/runs/{run}/metrics", response_model=list[Row], responses=errors(401, 403, 404), summary="Its learning curve"
)
def curve(request: Request, caller: Reader, run: RunId) -> Response:
    return json(list[Row], service(request).store.curve(run))


@router.get("/curves", response_model=list[Curve], responses=errors(401, 403), summary="Curves of several runs")
def curves(request: Request, caller: Reader, runs: Numbers) -> Response:
    found = service(request).store.curves(numbers(runs, MOST_CURVES))
    return json(list[Curve], [Curve(run, rows) for run, rows in found.items()])


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
    verbs = service(request)
    genome = verbs.store.champion(run)
    name = {"Content-Disposition": f'attachment; filename="run-{run}.safetensors"'}
    return Response(Model(verbs.design(run), genome).packed(), 200, name, SAFETENSORS)


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
    found = store.events(run=run, after=after, limit=limit)
    return page(Event, found, found[-1].id if len(found) == limit else None)


@router.get("/runs/{run}/logs", response_model=Page[LogLine], responses=errors(401, 403, 404), summary="What it logged")
def logs(request: Request, caller: Reader, run: RunId, after: After = 0, limit: Limit = 1000) -> Response:
    store = service(request).store
    store.run(run)  # raises NotFound
    found = store.logs(run=run, after=after, limit=limit)
    return page(LogLine, found, found[-1].id if len(found) == limit else None)
