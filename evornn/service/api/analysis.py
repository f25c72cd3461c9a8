"""Routes: comparisons, queries, the catalog, dispatchers and tokens."""

from __future__ import annotations

from functools import lru_cache
from json import loads
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evornn.catalog import is_import_path
from evornn.errors import EvornnError
from evornn.experiments.analysis.comparison import Comparison
from evornn.experiments.catalog import Entry, entries
from evornn.service.api.auth import Admin, Reader
from evornn.service.api.bodies import plain_body
from evornn.service.api.examples import QUERY_BODY, TOKEN_BODY
from evornn.service.api.parameters import MAX_ID, PREFIX, IdList, Label, errors, json, parse_ids
from evornn.service.api.parameters import service_of as service
from evornn.service.api.problems import QueryError
from evornn.service.reading.cluster_status import ClusterStatus, cluster_status
from evornn.service.wire import QueryTable, Secret, encode
from evornn.store.codec import dumps
from evornn.store.errors import StoreError, Unreachable
from evornn.store.records import Token, Worker
from evornn.store.tokens import LONGEST

router = APIRouter(prefix=PREFIX, tags=["analysis"])
MOST_COMPARED = 500  # runs by number


class QueryRequest(BaseModel):
    """The body of POST /query."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sql: str = Field(min_length=1, max_length=100_000)
    limit: int = Field(1000, ge=1, le=10_000)
    timeout: float = Field(5.0, ge=0.1, le=30.0)


class NewToken(BaseModel):
    """The body of POST /tokens."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")
    scope: str = Field("submit", pattern="^(read|submit|admin)$")
    lifetime: float | None = Field(None, gt=0, le=LONGEST)


@router.get("/compare", response_model=Comparison, responses=errors(401, 403, 404), summary="Compare runs")
def compare(
    request: Request,
    caller: Reader,
    job: Annotated[
        int | None, Query(ge=1, le=MAX_ID, description="All runs of this job; by default of the newest one.")
    ] = None,
    runs: IdList | None = None,
) -> Response:
    """Compare the runs of a job, or `runs=1,2,3` of any jobs."""
    chosen = parse_ids(runs, MOST_COMPARED) if runs else []
    return json(Comparison, service(request, caller).compare(job, chosen))


@router.post(
    "/query",
    response_model=QueryTable,
    responses=errors(400, 401, 403, 413, 415),
    openapi_extra=QUERY_BODY,
    summary="Run a SELECT",
)
def query(request: Request, caller: Reader, body: Annotated[Any, Depends(plain_body)]) -> Response:
    """Run one SELECT over the views and tables of docs/reference/store.md, read-only, with a deadline."""
    payload = validate(QueryRequest, body)
    try:
        columns, rows = service(request, caller).store.query(payload.sql, payload.limit, payload.timeout)
    except Unreachable:
        raise
    except StoreError as error:
        raise QueryError(str(error)) from None
    return json(QueryTable, QueryTable(columns, loads(dumps(rows))))


@router.get("/catalog", response_model=list[Entry], responses=errors(401, 403), summary="Tasks, networks, trainers")
def catalog(request: Request, caller: Reader, name: Label = None) -> Response:
    """List the tasks, networks and trainers that specs may name, or those called `name`, with their settings."""
    return Response(_catalog(name), media_type="application/json")


@router.get("/workers", response_model=list[Worker], responses=errors(401, 403), summary="List dispatchers")
def workers(request: Request, caller: Reader) -> Response:
    """List all dispatchers so far, with their last heartbeats and machines."""
    return json(list[Worker], service(request, caller).store.workers())


@router.get("/cluster", response_model=ClusterStatus, responses=errors(401, 403), summary="What computes")
def cluster(request: Request, caller: Reader) -> Response:
    """Say whether a dispatcher can compute; if not, `problem` says why. List the machines of all live dispatchers."""
    return json(ClusterStatus, cluster_status(service(request, caller).store.workers()))


@router.get("/tokens", response_model=list[Token], responses=errors(401, 403), summary="List tokens")
def tokens(request: Request, caller: Admin) -> Response:
    """List all tokens, including revoked ones, without their secrets."""
    return json(list[Token], service(request, caller).store.tokens())


@router.post(
    "/tokens",
    status_code=201,
    response_model=Secret,
    responses=errors(400, 401, 403, 413, 415),
    openapi_extra=TOKEN_BODY,
    summary="Create a token",
)
def add_token(request: Request, caller: Admin, body: Annotated[Any, Depends(plain_body)]) -> Response:
    """Create a token. The response contains its secret, which can't be shown again."""
    payload = validate(NewToken, body)
    secret = service(request, caller).store.add_token(payload.name, (payload.scope,), payload.lifetime)
    return json(Secret, Secret(payload.name, secret), 201)


@router.delete("/tokens/{name:path}", status_code=204, responses=errors(401, 403, 404), summary="Revoke a token")
def revoke_token(request: Request, caller: Admin, name: str) -> Response:
    """Make a token invalid from now on."""
    if "\0" in name or len(name) > 200:
        raise EvornnError("there is no token with this name: `evornn token ls` shows all")
    service(request, caller).store.revoke_token(name)
    return Response(status_code=204)


def validate(kind: type[Any], body: Any) -> Any:
    """Validate a body. Raises EvornnError, which says where and what is wrong without quoting the input."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(["body", *(str(part) for part in first["loc"])])
        raise EvornnError(f"{where}: {first['msg']}") from None


@lru_cache(maxsize=256)
def _catalog(name: str | None) -> bytes:
    """Encode the catalog. Never imports what a user names."""
    if is_import_path(name):
        raise EvornnError("the catalog contains evornn's own kinds only: give the name of one")
    return encode(list[Entry], entries(name))
