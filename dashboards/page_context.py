"""The context of a page: the service on behalf of the user, and the user's theme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from flask import g, request

from evornn.service.api.auth import Caller, check_model_owner, check_owner
from evornn.service.api.problems import Forbidden
from evornn.store.errors import NotFound

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from evornn.service.sandboxed_service import SandboxedService
    from evornn.store.records import ModelVersion, RunId, StoredRun
    from evornn.store.store import Store

MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class DashboardPage:
    """A page: its address, its content when it is opened, and its callbacks."""

    name: str
    path: str  # below the prefix; "" is the first page
    layout: Callable[[PageContext, str, Mapping[str, str]], Component]  # context, rest of the path, query → content
    install: Callable[[Dash, PageContext], None]  # registers its callbacks
    in_menu: bool = True


class PageContext:
    """The service as the user of the current request sees it.

    Args:
        service: The service.
        prefix: Path at which the dashboard is mounted.
    """

    def __init__(self, service: SandboxedService, prefix: str) -> None:
        self.service, self.prefix = service, prefix

    @property
    def caller(self) -> Caller:
        """The user, who is logged in (`login.protect` sees to that)."""
        caller: Caller = g.caller
        return caller

    @property
    def is_logged_in(self) -> bool:
        """Whether the current request has a user."""
        return "caller" in g

    @property
    def store(self) -> Store:
        """The store."""
        return self.service.store

    def run(self, number: RunId) -> StoredRun:
        """A run, without the path of the server's data folder. Raises NotFound."""
        (run,) = self.service.hide_folder([self.store.run(number)])
        return run

    @property
    def caller_service(self) -> SandboxedService:
        """The service on behalf of the user."""
        return self.caller.service(self.service)

    @property
    def theme(self) -> str:
        """The theme, "light" or "dark", from the cookie of `assets/frame.js`."""
        return "dark" if request.cookies.get("theme") == "dark" else "light"

    def require_scope(self, scope: str) -> None:
        """Raise Forbidden unless the user's token has this scope."""
        if not self.caller.has_scope(scope):
            raise Forbidden(f"this token has the scope {self.caller.scope}: log in with one with the scope {scope}")

    def change(self, change: str, **which: int) -> int:
        """Cancel, retry or resume a `run`, or all runs of a `job`. Returns how many. Raises Forbidden, NotFound;
        EvornnError if the data of the runs have changed."""
        self.require_scope("submit")
        check_owner(self.caller, self.store, which["job"] if "job" in which else self.store.run(which["run"]).job)
        service = self.caller_service
        actions = {"cancel": service.cancel, "retry": service.retry, "resume": service.resume}
        return actions[change](**which)

    def remove(self, job: int, removal: str) -> None:
        """Archive or delete a job. Raises Forbidden, NotFound; Conflict while a run is open."""
        self.require_scope("submit")
        check_owner(self.caller, self.store, job)
        if removal == "archive":
            self.store.archive(job, actor=self.caller.name)
        else:
            self.store.begin_delete(job)  # the server's sweeper does the rest

    def register_model(self, name: str, run: RunId) -> ModelVersion:
        """Keep the champion of a run as the next version of a model. Raises Forbidden, NotFound, EvornnError, Conflict,
        QuotaExceeded."""
        self.require_scope("submit")
        with suppress(NotFound):  # a new name
            check_model_owner(self.caller, self.store, name)
        return self.caller_service.register_model(name, run)

    def set_model_alias(self, reference: str, alias: str) -> ModelVersion:
        """Let an alias mean a version of a model. Raises Forbidden, NotFound, EvornnError."""
        self.require_scope("submit")
        check_model_owner(self.caller, self.store, self.store.model(reference).name)
        return self.store.set_model_alias(reference, alias)

    @property
    def server_url(self) -> str:
        """The address at which the user has reached this server."""
        return request.host_url.rstrip("/")

    def link(self, path: str, **query: Any) -> str:
        """The address of a page."""
        params = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.prefix}{path}{'?' if params else ''}{urlencode(params, safe=',')}"


def parse_query(search: str | None) -> dict[str, str]:
    """The query of an address.

    >>> parse_query("?job=3")
    {'job': '3'}
    """
    return dict(parse_qsl((search or "").removeprefix("?")))


def parse_id(text: object) -> int | None:
    """The number of a job or run; None for any other text."""
    number = str(text).strip()
    return int(number) if number.isdecimal() and len(number) < 19 and 0 < int(number) <= MAX_ID else None


def parse_ids(text: str) -> list[int]:
    """The numbers in a text; other words are ignored.

    >>> parse_ids("1, 2 3")
    [1, 2, 3]
    """
    ids = (parse_id(part) for part in text.replace(",", " ").split())
    return [number for number in ids if number is not None]
