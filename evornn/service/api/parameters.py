"""Shared by the routes: path and query parameters, documented errors, JSON responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from evornn.service.api.auth import Caller
from evornn.service.api.problems import MEDIA, ProblemDetails
from evornn.service.sandboxed_service import SandboxedService
from evornn.service.wire import Page, encode
from evornn.store.filters import JobFilter, ModelFilter, RunFilter
from evornn.store.names import REFERENCE
from evornn.store.schema import STATES

T = TypeVar("T")
PREFIX = "/api/v1"
MAX_ID = 2**63 - 1
MAX_ITEMS = 1000  # items of a page
State = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", json_schema_extra={"enum": list(STATES)})]
JobId = Annotated[int, Path(ge=1, le=MAX_ID, description="Number of a job.")]
RunId = Annotated[int, Path(ge=1, le=MAX_ID, description="Number of a run.")]
Model = Annotated[
    str,
    Path(
        max_length=201,
        pattern=f"^{REFERENCE}$",
        description="NAME (its newest version), NAME@ALIAS or NAME:VERSION of a registered model.",
        examples=["load@production"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Maximum number of items.")]
Cursor = Annotated[int | None, Query(ge=0, le=MAX_ID, description="`next` of the previous page.")]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only items after the one with this number.")]
JobNumber = Annotated[int | None, Query(ge=1, le=MAX_ID, description="Only runs of this job.")]
Label = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
IdList = Annotated[str, Query(max_length=8000, pattern=r"^[0-9]{1,18}(,[0-9]{1,18})*$", description="`1,2,3`")]
Archived = Annotated[bool | None, Query(description="Only archived jobs, or only others.")]
FILTERS = {"job": JobNumber, "state": State, "archived": Archived}  # all other filters are labels

DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "The token is missing, unknown or revoked.",
    403: "The token may not do this.",
    404: "There is no such job, run, result or model.",
    413: "The body is too large.",
    415: "The body has an unsupported content type.",
    421: "The server does not have this host name.",
    429: "The user has reached a limit: `detail` says which; retry after `Retry-After` seconds.",
    422: "The request is invalid; `detail` says where and what to do.",
    503: "The database can't be reached, or the server is busy: retry after `Retry-After` seconds.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of a route's errors."""
    content = {MEDIA: {"schema": ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")}}
    return {
        status: {"description": DESCRIPTIONS[status], "content": content}
        for status in sorted({*statuses, 421, 422, 429, 503})
    }


def query_parameters(filters: type[T]) -> Callable[..., T]:
    """A dependency that reads the fields of a filter from the query string."""

    def read(**values: Any) -> T:
        return filters(**values)

    read.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=FILTERS.get(field.name, Label)
            )
            for field in fields(filters)  # type: ignore[arg-type]
        ]
    )
    return read


RunFilters = Annotated[RunFilter, Depends(query_parameters(RunFilter))]
ModelFilters = Annotated[ModelFilter, Depends(query_parameters(ModelFilter))]
JobFilters = Annotated[JobFilter, Depends(query_parameters(JobFilter))]


def service_of(request: Request, caller: Caller | None = None) -> SandboxedService:
    """The service, on behalf of a user."""
    service: SandboxedService = request.app.state.service
    return service if caller is None else caller.service(service)


def json(kind: Any, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response.

    Args:
        kind: Type of the value.
        value: The value.
        status: HTTP status.
        headers: Further headers.
    """
    return Response(encode(kind, value), status, headers, "application/json")


def page(kind: Any, items: Sequence[Any], next_cursor: int | None) -> Response:
    """A page of a list as a JSON response.

    Args:
        kind: Type of the items.
        items: The items.
        next_cursor: Cursor of the next page; None on the last one.
    """
    kind = Page[kind]
    return json(kind, kind.model_construct(items=items, next=None if next_cursor is None else str(next_cursor)))


def parse_ids(text: str, limit: int) -> list[int]:
    """`1,2,3` → [1, 2, 3]. Raises 422."""
    ids = [int(part) for part in text.split(",")]
    if len(ids) > limit:
        raise HTTPException(422, f"runs: name at most {limit} of them")
    return ids
