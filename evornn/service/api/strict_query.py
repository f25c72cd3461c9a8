"""Refuses query parameters that a route would ignore: `?stat=failed` would list all runs as if they had failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from starlette.exceptions import HTTPException

from evornn.errors import UnknownName
from evornn.service.api.auth import Reader


async def check_query(request: Request, caller: Reader) -> None:
    """For all routes, after the token: strangers learn no names. Raises UnknownName, and 422 for a parameter that is
    given twice: none of them takes a list."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = set(_names(request.scope["route"].dependant)) if given else set()
    for name, count in given.items():
        if name not in known:
            raise UnknownName("query parameter", name, known)
        if count > 1:
            raise HTTPException(422, f"query parameter {name!r} is given {count} times: give it once")


def _names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a route and of what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _names(part)
