"""Routes: list, register, download, alias and delete models; their answers to rows, and reports on them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from evornn.service.api.analysis import validate
from evornn.service.api.auth import Reader, Submitter, check_model_owner
from evornn.service.api.bodies import CSV, HTML, data_body, model_body, rows_body
from evornn.service.api.examples import DATA_BODY, MODEL_BODY, ROWS_BODY
from evornn.service.api.parameters import MAX_ID, PREFIX, Cursor, Limit, Model, ModelFilters, errors, json, page
from evornn.service.api.parameters import service_of as service
from evornn.service.api.problems import Forbidden
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.predictions import BODY, MOST_ROWS, PredictionRequest
from evornn.service.wire import SAFETENSORS, Evaluated, Page, Predictions
from evornn.store.errors import NotFound
from evornn.store.names import ALIAS, ModelReference
from evornn.store.records import ModelVersion
from evornn.store.registry import LONGEST_NOTE

router = APIRouter(prefix=PREFIX, tags=["models"])
Alias = Annotated[str, Path(pattern=f"^{ALIAS}$", description="Such as production, staging or archived.")]
Note = Annotated[str, Query(max_length=LONGEST_NOTE, description="What people should know of a file.")]
Next = Annotated[
    int | None,
    Query(
        ge=1,
        le=MOST_ROWS,
        description="Of a forecast or a text: so many rows or symbols beyond the end, instead of all answers.",
    ),
]
Coverage = Annotated[
    float | None, Query(gt=0, lt=1, description="Also intervals that hold the truth with this probability.")
]
Temperature = Annotated[
    float, Query(ge=0, le=1000, description="Of a text that goes on: 0 is always the most probable symbol.")
]
Seed = Annotated[int, Query(ge=0, le=MAX_ID, description="Of a text that goes on: the same seed, the same text.")]

DataName = Annotated[
    str | None, Query(max_length=255, description="A data set of the server, instead of a body; needs scope submit.")
]
RowsName = Annotated[str, Query(pattern=r"^[\w .()+-]{1,100}$", description="What the report calls the body.")]
POLL = 0.05  # seconds


class NewVersion(BaseModel):
    """The body of POST /models/{model}."""

    model_config = ConfigDict(extra="forbid", strict=True)
    run: int = Field(ge=1, le=MAX_ID)
    note: str = Field("", max_length=LONGEST_NOTE)


@dataclass(frozen=True)
class ModelPage:
    """A page of the list."""

    limit: Limit = 100
    cursor: Cursor = None


@router.get(
    "/models", response_model=Page[ModelVersion], responses=errors(401, 403), summary="List models, newest first"
)
def models(request: Request, caller: Reader, filters: ModelFilters, part: Annotated[ModelPage, Depends()]) -> Response:
    """List the versions of registered models that match all filters."""
    store = service(request, caller).store
    records = store.models(**filters.criteria(), limit=part.limit + 1, before=part.cursor)
    more = records[part.limit - 1].id if len(records) > part.limit else None
    return page(ModelVersion, records[: part.limit], more)


@router.get(
    "/models/{model}", response_model=ModelVersion, responses=errors(401, 403, 404), summary="Show a version of a model"
)
def show(request: Request, caller: Reader, model: Model) -> Response:
    """Show what a version answers, how good it was on test, and where it comes from."""
    return json(ModelVersion, service(request, caller).store.model(model))


@router.post(
    "/models/{model}",
    status_code=201,
    response_model=ModelVersion,
    responses=errors(400, 401, 403, 404, 413, 415),
    openapi_extra=MODEL_BODY,
    summary="Register a model",
)
def register(
    request: Request,
    caller: Submitter,
    model: Model,
    body: Annotated[Any, Depends(model_body)],
    note: Note = "",
) -> Response:
    """Keep the champion of a run, or a file with `Content-Type: application/vnd.safetensors`, as the next version of a
    name. A new name belongs to the token that registers it first."""
    user_service = service(request, caller)
    with suppress(NotFound):
        check_model_owner(caller, user_service.store, model)
    if isinstance(body, bytes):
        version = user_service.register_model(model, body, note=note)
    else:
        payload = validate(NewVersion, body)
        version = user_service.register_model(model, payload.run, note=payload.note or note)
    return json(ModelVersion, version, 201, {"Location": f"{PREFIX}/models/{version.reference}"})


@router.delete(
    "/models/{model}", response_model=ModelVersion, responses=errors(401, 403, 404), summary="Delete a version"
)
def delete(request: Request, caller: Submitter, model: Model) -> Response:
    """Delete NAME:VERSION with its file, for ever; its number isn't given again. One that an alias means is refused."""
    store = service(request, caller).store
    check_model_owner(caller, store, store.model(model).name)
    return json(ModelVersion, store.delete_model(model))


@router.get(
    "/models/{model}/file",
    response_class=Response,
    responses={
        **errors(401, 403, 404),
        200: {"content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    },
    summary="Download a version",
)
def file(request: Request, caller: Reader, model: Model) -> Response:
    """Download the file of a version: a model that stands alone, as safetensors."""
    store = service(request, caller).store
    version = store.model(model)
    name = {"Content-Disposition": f'attachment; filename="{version.name}-{version.version}.safetensors"'}
    return Response(store.model_file(version.reference), 200, name, SAFETENSORS)


@router.post(
    "/models/{model}/aliases/{alias}",
    response_model=ModelVersion,
    responses=errors(400, 401, 403, 404),
    summary="Set an alias",
)
def set_alias(request: Request, caller: Submitter, model: Model, alias: Alias) -> Response:
    """Let an alias, such as `production`, mean this version from now on, whichever it meant before."""
    store = service(request, caller).store
    check_model_owner(caller, store, store.model(model).name)
    return json(ModelVersion, store.set_model_alias(model, alias))


@router.delete(
    "/models/{model}/aliases/{alias}",
    status_code=204,
    responses=errors(401, 403, 404),
    summary="Delete an alias",
)
def delete_alias(request: Request, caller: Submitter, model: Model, alias: Alias) -> Response:
    """Take an alias from a model; the version stays."""
    store, name = service(request, caller).store, ModelReference.parse(model).name
    check_model_owner(caller, store, name)
    store.delete_model_alias(name, alias)
    return Response(status_code=204)


@router.post(
    "/models/{model}/predict",
    response_model=Predictions,
    responses={**errors(400, 401, 403, 404, 413, 415), 200: {"content": {CSV: {"schema": {"type": "string"}}}}},
    openapi_extra=ROWS_BODY,
    summary="Predict",
)
def predict(
    request: Request,
    caller: Reader,
    model: Model,
    body: Annotated[Any, Depends(rows_body)],
    next: Next = None,
    coverage: Coverage = None,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> Response:
    """Answer rows in original units: JSON, or CSV with `Content-Type: text/csv`; of a text JSON, `{"text": "…"}`. The
    answers are JSON, or CSV with `Accept: text/csv`. At most 10,000 rows or symbols."""
    as_csv = CSV in request.headers.get("accept", "")
    rows, is_csv = body
    question = PredictionRequest(model, rows, next, coverage, is_csv, temperature, seed)
    answers = service(request, caller).answer(question, as_csv)
    return Response(answers, media_type=CSV if as_csv else "application/json")


@router.post(
    "/models/{model}/evaluate",
    response_model=Evaluated,
    responses={**errors(400, 401, 403, 404, 413, 415), 200: {"content": {HTML: {"schema": {"type": "string"}}}}},
    openapi_extra=DATA_BODY,
    summary="Report on a model",
)
async def evaluate(
    request: Request,
    caller: Reader,
    model: Model,
    body: Annotated[Any, Depends(data_body)],
    data: DataName = None,
    name: RowsName = BODY,
) -> Response:
    """Compare the answers of a model with the true ones: measures, and what `evornn evaluate --report` draws, as JSON,
    or with `Accept: text/html` as that page. Takes two minutes at most; the same again is answered at once."""
    if data is not None and not caller.has_scope("submit"):
        raise Forbidden("data sets of the server are for tokens with the scope submit: send the rows instead")
    content, kind = body
    user_service = service(request, caller)
    question = EvaluationRequest(model, content, data, kind, name)
    _, work = await run_in_threadpool(user_service.start_evaluation, question)
    while not work.is_done:  # without a thread, which others need
        await asyncio.sleep(POLL)
    if HTML not in request.headers.get("accept", ""):
        return Response(work.result().to_json(), media_type="application/json")
    page = await run_in_threadpool(user_service.render_evaluation, work.result())
    attached = {"Content-Disposition": 'attachment; filename="report.html"'}
    return Response(page.encode("utf-8", "replace"), 200, attached, HTML)
