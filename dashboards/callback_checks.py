"""Validates the body of callback requests before Dash sees it: Dash trusts every body to come from its own pages."""

from __future__ import annotations

from typing import Any

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, ValidationError

from evornn.service.api import problems
from evornn.service.wire import URN

PATH = "/_dash-update-component"
INVALID_REQUEST = "not a request of this dashboard ({}): reload the page"


class Property(BaseModel):
    """A property of a component; inputs come with its value, which is ignored here."""

    model_config = ConfigDict(strict=True)
    id: str | dict[str, Any]
    property: str


class CallbackRequest(BaseModel):
    """The body of a request. Components that match a pattern come as a list."""

    model_config = ConfigDict(strict=True)
    output: str
    outputs: Property | list[Property | list[Property]] = []
    inputs: list[Property | list[Property]]
    state: list[Property | list[Property]] = []
    changedPropIds: list[str] = []


def install(server: Flask, app: Dash) -> None:
    """Refuse invalid requests with problem+json; respond 404 for unknown files."""

    @server.before_request
    def check() -> Response | None:
        problem = find_error(app) if request.path == PATH else None
        return None if problem is None else refuse(400, INVALID_REQUEST.format(problem))

    @server.errorhandler(DependencyException)
    def not_found(error: DependencyException) -> Response:
        return refuse(404, INVALID_REQUEST.format("no such file"))


def find_error(app: Dash) -> str | None:
    """What is wrong with the body of the current request; None if it fits a callback."""
    try:
        body = request.get_json(silent=True)
        if body is None:
            return "body: not application/json"
        call = CallbackRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
    except RecursionError:
        return "body: nested too deeply"
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
    """A response with problem+json."""
    answer = problems.problem_response(status, detail, type=f"{URN}invalid")
    return Response(bytes(answer.body), answer.status_code, mimetype=problems.MEDIA)


def _names(properties: list[Property | list[Property]]) -> list[str | None]:
    """`component.property` of each; None for a pattern, whose components only the page knows."""
    return [
        None if isinstance(one, list) or isinstance(one.id, dict) else f"{one.id}.{one.property}" for one in properties
    ]


def _expected_names(entries: list[dict[str, Any]]) -> list[str | None]:
    return [None if one["id"].startswith("{") else f"{one['id']}.{one['property']}" for one in entries]
