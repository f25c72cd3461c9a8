"""What a page works with: the verbs on behalf of whoever is logged in, and how the page is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from flask import g, request

from evornn.service.api.auth import Caller, own
from evornn.service.api.problems import Forbidden

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from evornn.service.sandboxed_service import Isolated
    from evornn.store.store import Store

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Page:
    """A page: where it is, how it looks when it is opened, and what happens on it."""

    name: str
    path: str  # below the prefix; "" is the first page
    layout: Callable[[Desk, str, Mapping[str, str]], Component]  # what follows the path, the query → components
    install: Callable[[Dash, Desk], None]
    listed: bool = True  # in the menu


class Desk:
    """The service as one person sees it, in the course of one request."""

    def __init__(self, service: Isolated, prefix: str) -> None:
        self.service, self.prefix = service, prefix

    @property
    def caller(self) -> Caller:
        """Who is logged in (`login.protect` lets nobody else come so far)."""
        found: Caller = g.caller
        return found

    @property
    def somebody(self) -> bool:
        """Whether anybody is logged in."""
        return "caller" in g

    @property
    def store(self) -> Store:
        return self.service.store

    @property
    def verbs(self) -> Isolated:
        return self.service.of(self.caller.name)

    @property
    def theme(self) -> str:
        """light or dark, as `assets/frame.js` keeps it."""
        return "dark" if request.cookies.get("theme") == "dark" else "light"

    def demand(self, scope: str) -> None:
        """Raises Forbidden where the token may not do this."""
        if not self.caller.may(scope):
            raise Forbidden(f"this token may {self.caller.scope}: log in with one with scope {scope}")

    def change(self, change: str, **which: int) -> int:
        """Cancel, retry or resume a `run`, or all runs of a `job`; answers how many runs that was about. Raises
        Forbidden, NotFound."""
        self.demand("submit")
        own(self.caller, self.store, which["job"] if "job" in which else self.store.run(which["run"]).job)
        verbs = {"cancel": self.store.cancel, "retry": self.store.retry, "resume": self.store.resume}
        return verbs[change](**which)

    def link(self, path: str, **query: Any) -> str:
        """The address of a page."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.prefix}{path}{'?' if given else ''}{urlencode(given, safe=',')}"


def asked(search: str | None) -> dict[str, str]:
    """The query of an address, `?job=3` → {"job": "3"}."""
    return dict(parse_qsl((search or "").removeprefix("?")))


def whole(text: object) -> int | None:
    """A number of a job or run; None for what is none."""
    number = str(text).strip()
    return int(number) if number.isdecimal() and len(number) < 19 and 0 < int(number) <= LARGEST else None


def numbers(text: str) -> list[int]:
    """`1, 2 3` → [1, 2, 3]; what is no number is left out."""
    found = (whole(part) for part in text.replace(",", " ").split())
    return [number for number in found if number is not None]
