"""The API, put together: routes, errors, and what surrounds every request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from threading import Thread
from typing import TypeAlias, cast

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import WSGIApp
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from evornn.errors import EvornnError
from evornn.service.api import analysis, health, jobs, problems, runs
from evornn.service.api.auth import Guard
from evornn.service.api.bodies import BodyLimit
from evornn.service.api.headers import SecurityHeaders, TrustedHosts
from evornn.service.api.metrics import Metrics, RequestCounter
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.sandboxed_service import SandboxedService
from evornn.store.store import Store

Mount: TypeAlias = Callable[[SandboxedService, Guard], WSGIApp]
"""Something else to show in the same server, made from its verbs and what knows its tokens."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ABOUT = """Submit experiments, watch them, compare results. Send `Authorization: Bearer TOKEN`; `evornn token add` makes
one. Errors are `application/problem+json` (RFC 9457). Numbers that aren't finite are the texts `NaN`, `Infinity` and
`-Infinity`."""


def create_app(
    store: Store,
    policy: SubmissionPolicy | None = None,
    secret: str | None = None,
    host_names: Collection[str] = (),
    mounts: Mapping[str, Mount] | None = None,
) -> FastAPI:
    """The API over a store. `secret` is a token that may do all; further hosts are answered than the loopback ones.
    `mounts` are shown in the same server, by their paths.
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
    app.state.metrics = Metrics(store)
    app.state.streams = 0
    problems.install_handlers(app)
    for router in (health.router, jobs.router, runs.router, analysis.router):
        app.include_router(router)
    for path, mount in (mounts or {}).items():
        app.mount(path, cast("ASGIApp", WSGIMiddleware(mount(app.state.service, app.state.guard))))
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app.add_middleware(BodyLimit)
    app.add_middleware(TrustedHosts, names={*LOOPBACK, *host_names})
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestCounter, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The helper starts with the server, so that the first spec needn't wait for it, and ends with it."""
    helper: HelperProcess = app.state.service.helper
    Thread(target=_start_helper, args=(helper,), daemon=True).start()
    yield
    helper.close()


def _start_helper(helper: HelperProcess) -> None:
    with suppress(EvornnError):  # the server ended before it was there
        helper.call(_preload)


def _preload() -> None:
    """What the helper will need."""
    import evornn.service.service  # noqa: F401
    from evornn.experiments.catalog import entries

    entries()
