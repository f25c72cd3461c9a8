"""Assembles the API: routes, error handlers and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from threading import Thread
from typing import TypeAlias, cast

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import WSGIApp
from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from prometheus_client.registry import Collector
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from evornn.errors import EvornnError
from evornn.service.api import analysis, health, jobs, models, problems, quotas, runs
from evornn.service.api.auth import Guard
from evornn.service.api.bodies import BodyLimit, WholeBody
from evornn.service.api.headers import SecurityHeaders, TrustedHosts
from evornn.service.api.metrics import Metrics, RequestCounter
from evornn.service.api.news import NewsFeed
from evornn.service.api.request_limits import RequestLimits
from evornn.service.api.streams import OpenStreams
from evornn.service.api.strict_query import check_query
from evornn.service.api.sweeper import Sweeper
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.sandboxed_service import SandboxedService
from evornn.store.store import Store

Mount: TypeAlias = Callable[[SandboxedService, Guard], WSGIApp]
"""Makes another WSGI app for the same server, such as the dashboard, from its service and its guard."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ABOUT = """Submit experiments, watch them, compare results. Send `Authorization: Bearer TOKEN`; `evornn token add`
creates a token. Errors are `application/problem+json` (RFC 9457). Non-finite numbers are the texts `NaN`, `Infinity`
and `-Infinity`."""


def create_app(
    store: Store,
    policy: SubmissionPolicy | None = None,
    secret: str | None = None,
    host_names: Collection[str] = (),
    mounts: Mapping[str, Mount] | None = None,
    folders: Collector | None = None,
) -> FastAPI:
    """Create the API of a store.

    Args:
        store: The store, used by all requests.
        policy: What specs may name.
        secret: A token with scope admin that isn't in the store.
        host_names: Names that requests may use for this server, besides localhost.
        mounts: Path → further app, such as the dashboard.
        folders: Metrics of this server's folders.

    Returns:
        The ASGI app.
    """
    app = FastAPIOffline(
        title="evornn",
        version=version("evornn"),
        description=ABOUT,
        lifespan=_lifespan,
        favicon_url=None,
        redoc_url="/redoc",
    )
    app.state.service = SandboxedService(store, HelperProcess(), policy or SubmissionPolicy())
    app.state.guard = Guard(store, secret)
    app.state.metrics = Metrics(store, folders)
    app.state.sweeper = Sweeper(store)
    app.state.news = NewsFeed(store)
    app.state.streams = OpenStreams()
    problems.install_handlers(app)
    app.include_router(health.router)  # whoever probes or scrapes may add what they like
    for router in (jobs.router, runs.router, models.router, analysis.router, quotas.router):
        app.include_router(router, dependencies=[Depends(check_query)])
    for path, mount in (mounts or {}).items():
        wsgi = cast("ASGIApp", WSGIMiddleware(mount(app.state.service, app.state.guard)))
        app.mount(path, WholeBody(wsgi))
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app.add_middleware(BodyLimit)
    app.add_middleware(TrustedHosts, names={*LOOPBACK, *host_names})
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLimits, guard=app.state.guard)
    app.add_middleware(RequestCounter, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start the helper process with the server, so that the first spec needn't wait for its imports; end all, too."""
    service: SandboxedService = app.state.service
    Thread(target=_start_helper, args=(service.helper,), daemon=True).start()
    app.state.sweeper.start()
    yield
    app.state.sweeper.stop()
    service.close()


def _start_helper(helper: HelperProcess) -> None:
    with suppress(EvornnError):  # the server ended before the helper had started
        helper.call(_preload)


def _preload() -> None:
    """Import what the helper will need."""
    import evornn.service.service  # noqa: F401
    from evornn.experiments.catalog import entries

    entries()
