"""What a page works with: the verbs on behalf of whoever is logged in, and how the page is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from flask import g, request

from evornn.service.api.auth import Caller, check_owner
from evornn.service.api.problems import Forbidden

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from evornn.service.sandboxed_service import SandboxedService
    from evornn.store.store import Store

MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class DashboardPage:
    """A page: where it is, how it looks when it is opened, and what happens on it."""

    name: str
    path: str  # below the prefix; "" is the first page
    layout: Callable[[PageContext, str, Mapping[str, str]], Component]  # what follows the path, the query → components
    install: Callable[[Dash, PageContext], None]
    in_menu: bool = True  # in the menu


class PageContext:
    """The service as one person sees it, in the course of one request."""

    def __init__(self, service: SandboxedService, prefix: str) -> None:
        self.service, self.prefix = service, prefix

    @property
    def caller(self) -> Caller:
        """Who is logged in (`login.protect` lets nobody else come so far)."""
        caller: Caller = g.caller
        return caller

    @property
    def is_logged_in(self) -> bool:
        """Whether anybody is logged in."""
        return "caller" in g

    @property
    def store(self) -> Store:
        return self.service.store

    @property
    def caller_service(self) -> SandboxedService:
        return self.service.for_owner(self.caller.name)

    @property
    def theme(self) -> str:
        """light or dark, as `assets/frame.js` keeps it."""
        return "dark" if request.cookies.get("theme") == "dark" else "light"

    def require_scope(self, scope: str) -> None:
        """Raises Forbidden where the token may not do this."""
        if not self.caller.has_scope(scope):
            raise Forbidden(f"this token may {self.caller.scope}: log in with one with scope {scope}")

    def change(self, change: str, **which: int) -> int:
        """Cancel, retry or resume a `run`, or all runs of a `job`; answers how many runs that was about. Raises
        Forbidden, NotFound."""
        self.require_scope("submit")
        check_owner(self.caller, self.store, which["job"] if "job" in which else self.store.run(which["run"]).job)
        actions = {"cancel": self.store.cancel, "retry": self.store.retry, "resume": self.store.resume}
        return actions[change](**which)

    def link(self, path: str, **query: Any) -> str:
        """The address of a page."""
        params = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.prefix}{path}{'?' if params else ''}{urlencode(params, safe=',')}"


def parse_query(search: str | None) -> dict[str, str]:
    """The query of an address, `?job=3` → {"job": "3"}."""
    return dict(parse_qsl((search or "").removeprefix("?")))


def parse_id(text: object) -> int | None:
    """A number of a job or run; None for what is none."""
    number = str(text).strip()
    return int(number) if number.isdecimal() and len(number) < 19 and 0 < int(number) <= MAX_ID else None


def parse_ids(text: str) -> list[int]:
    """`1, 2 3` → [1, 2, 3]; what is no number is left out."""
    ids = (parse_id(part) for part in text.replace(",", " ").split())
    return [number for number in ids if number is not None]
