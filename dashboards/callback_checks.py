"""What a page asks of a callback, checked before Dash sees it: Dash takes every body for one of its own pages'."""

from __future__ import annotations

from typing import Any

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, ValidationError

from evornn.service.api import problems
from evornn.service.wire import URN

PATH = "/_dash-update-component"
INVALID_REQUEST = "no page of this dashboard asks so ({}): open the page again"


class Property(BaseModel):
    """Of a component, with its value or, of an output, without."""

    model_config = ConfigDict(strict=True)
    id: str | dict[str, Any]
    property: str


class CallbackRequest(BaseModel):
    """The body of a request. Components that are found by a pattern come as a list."""

    model_config = ConfigDict(strict=True)
    output: str
    outputs: Property | list[Property | list[Property]] = []
    inputs: list[Property | list[Property]]
    state: list[Property | list[Property]] = []
    changedPropIds: list[str] = []


def install(server: Flask, app: Dash) -> None:
    """Refuse, as problem+json, what no page asks; files that no page names are not found."""

    @server.before_request
    def check() -> Response | None:
        problem = find_error(app) if request.path == PATH else None
        return None if problem is None else refuse(400, INVALID_REQUEST.format(problem))

    @server.errorhandler(DependencyException)
    def not_found(error: DependencyException) -> Response:
        return refuse(404, INVALID_REQUEST.format("there is no such file"))


def find_error(app: Dash) -> str | None:
    """What is wrong with the body of this request; None where some callback takes it."""
    try:
        body = request.get_json(silent=True)
        if body is None:
            return "body: no application/json"
        call = CallbackRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
    except RecursionError:
        return "body: too deep"
    callback = app.callback_map.get(call.output)
    if callback is None:
        return "output: of no callback"
    names = [_names(call.inputs), _names(call.state)]
    return (
        None
        if names == [_expected_names(callback[part]) for part in ("inputs", "state")]
        else "inputs: not the callback's"
    )


def refuse(status: int, detail: str) -> Response:
    answer = problems.problem_response(status, detail, type=f"{URN}invalid")
    return Response(bytes(answer.body), answer.status_code, mimetype=problems.MEDIA)


def _names(properties: list[Property | list[Property]]) -> list[str | None]:
    """component.property of each; None for a pattern's, which are many or have names that only the page knows."""
    return [
        None if isinstance(one, list) or isinstance(one.id, dict) else f"{one.id}.{one.property}" for one in properties
    ]


def _expected_names(entries: list[dict[str, Any]]) -> list[str | None]:
    return [None if one["id"].startswith("{") else f"{one['id']}.{one['property']}" for one in entries]
