"""Errors as problem+json (RFC 9457): what is wrong and what to do, never a traceback."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from evornn.errors import EvornnError, UnknownName, suggestion
from evornn.service.turns import ServerBusy, UserBusy
from evornn.service.wire import URN, error_details, kind_of, shorten
from evornn.store.errors import NotFound, PriorityRefused, QuotaExceeded, StoreError

log = logging.getLogger(__name__)
MEDIA = "application/problem+json"
RETRY_LATER = {"Retry-After": "2"}
MOST_KNOWN = 200  # known names in the response to an unknown one


class ProblemDetails(BaseModel):
    """An error. `type` is its kind, for programs; `detail` says what is wrong and what to do, for humans."""

    model_config = ConfigDict(extra="allow")
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    suggestion: str | None = None


class QueryError(StoreError):
    """The query isn't a SELECT, names something unknown, or takes too long."""


class Forbidden(EvornnError):
    """The token may not do this."""


def problem_response(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The response to an error.

    Args:
        status: HTTP status.
        detail: What is wrong and what to do.
        headers: Further headers.
        more: Further members of the problem (RFC 9457); None is left out.
    """
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": shorten(detail)}
    content = json.dumps({**body, **{name: value for name, value in more.items() if value is not None}})
    return Response(content, status, headers, MEDIA)


def error_response(error: EvornnError) -> Response:
    """The response to an error of evornn. Errors of the database ask the client to retry."""
    status = _status(error)
    more = error_details(error)
    if isinstance(error, UnknownName):
        more["known"] = error.known[:MOST_KNOWN]
        more["suggestion"] = suggestion(shorten(str(error.name), 80), error.known).removeprefix(": ")
    return problem_response(
        status, str(error), RETRY_LATER if status in (429, 503) else None, type=URN + kind_of(error), **more
    )


def install_handlers(app: FastAPI) -> None:
    """Let an app answer all its errors as problems."""

    @app.exception_handler(EvornnError)
    def _evornn(request: Request, error: EvornnError) -> Response:
        return error_response(error)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        return problem_response(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(422, validation_message(error), type=f"{URN}invalid")

    @app.exception_handler(ClientDisconnect)
    def _disconnect(request: Request, error: ClientDisconnect) -> Response:
        return problem_response(400, "the connection ended before the body did")  # the client is gone: not a bug

    @app.exception_handler(Exception)
    def _bug(request: Request, error: Exception) -> Response:
        log.error("a bug in evornn, at %s", request.url.path, exc_info=error)
        return problem_response(500, "a bug in evornn; details are in the server's log: please report it")


def validation_message(error: RequestValidationError) -> str:
    """Where and what is wrong, without quoting the input."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _status(error: EvornnError) -> int:
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, QueryError):
        return 422
    if isinstance(error, (Forbidden, PriorityRefused)):
        return 403
    if isinstance(error, (QuotaExceeded, UserBusy)):
        return 429
    if isinstance(error, ServerBusy):
        return 503
    if isinstance(error, StoreError) and kind_of(error) in ("unreachable", "store"):
        return 503
    return 422
