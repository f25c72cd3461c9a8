"""Comparisons, queries, the catalog, and who works."""

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
from evornn.service.wire import QueryTable, Secret, encode
from evornn.store.codec import dumps
from evornn.store.errors import StoreError, Unreachable
from evornn.store.records import Token, Worker

router = APIRouter(prefix=PREFIX, tags=["questions"])
MOST_COMPARED = 500


class QueryRequest(BaseModel):
    """A query."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sql: str = Field(min_length=1, max_length=100_000)
    limit: int = Field(1000, ge=1, le=10_000)
    timeout: float = Field(5.0, ge=0.1, le=30.0)


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")
    scope: str = Field("submit", pattern="^(read|submit|admin)$")


@router.get("/compare", response_model=Comparison, responses=errors(401, 403, 404), summary="Compare runs")
def compare(
    request: Request,
    caller: Reader,
    job: Annotated[int | None, Query(ge=1, le=MAX_ID, description="Its runs; by default the newest job's.")] = None,
    runs: IdList | None = None,
) -> Response:
    """The runs of a job, or `runs=1,2,3` of any jobs."""
    chosen = parse_ids(runs, MOST_COMPARED) if runs else []
    return json(Comparison, service(request).compare(job, chosen))


@router.post(
    "/query",
    response_model=QueryTable,
    responses=errors(400, 401, 403, 413, 415),
    openapi_extra=QUERY_BODY,
    summary="Ask with SQL",
)
def query(request: Request, caller: Reader, body: Annotated[Any, Depends(plain_body)]) -> Response:
    """One SELECT on the views and tables of docs/reference/store.md, read-only, with a deadline."""
    payload = validate(QueryRequest, body)
    try:
        columns, rows = service(request).store.query(payload.sql, payload.limit, payload.timeout)
    except Unreachable:
        raise
    except StoreError as error:
        raise QueryError(str(error)) from None
    return json(QueryTable, QueryTable(columns, loads(dumps(rows))))


@router.get("/catalog", response_model=list[Entry], responses=errors(401, 403), summary="What specs may name")
def catalog(request: Request, caller: Reader, name: Label = None) -> Response:
    return Response(_catalog(name), media_type="application/json")


@router.get("/workers", response_model=list[Worker], responses=errors(401, 403), summary="Who computes")
def workers(request: Request, caller: Reader) -> Response:
    return json(list[Worker], service(request).store.workers())


@router.get("/tokens", response_model=list[Token], responses=errors(401, 403), summary="Tokens, without their secrets")
def tokens(request: Request, caller: Admin) -> Response:
    return json(list[Token], service(request).store.tokens())


@router.post(
    "/tokens",
    status_code=201,
    response_model=Secret,
    responses=errors(400, 401, 403, 413, 415),
    openapi_extra=TOKEN_BODY,
    summary="Make a token",
)
def add_token(request: Request, caller: Admin, body: Annotated[Any, Depends(plain_body)]) -> Response:
    payload = validate(NewToken, body)
    secret = service(request).store.add_token(payload.name, (payload.scope,))
    return json(Secret, Secret(payload.name, secret), 201)


@router.delete("/tokens/{name:path}", status_code=204, responses=errors(401, 403, 404), summary="Revoke a token")
def revoke_token(request: Request, caller: Admin, name: str) -> Response:
    if "\0" in name or len(name) > 200:
        raise EvornnError("no token has such a name: `evornn token ls` shows all")
    service(request).store.revoke_token(name)
    return Response(status_code=204)


def validate(kind: type[Any], body: Any) -> Any:
    """A body of this kind. Raises EvornnError that says where and what is wrong, without what was given."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(["body", *(str(part) for part in first["loc"])])
        raise EvornnError(f"{where}: {first['msg']}") from None


@lru_cache(maxsize=256)
def _catalog(name: str | None) -> bytes:
    """Never imports what a stranger names."""
    if is_import_path(name):
        raise EvornnError("the catalog has the kinds of evornn only: give a name of it")
    return encode(list[Entry], entries(name))
