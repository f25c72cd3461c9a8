"""The API, put together: routes, errors, and what surrounds every request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from threading import Thread

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.gzip import GZipMiddleware

from evornn.errors import EvornnError
from evornn.service.api import asking, health, jobs, problems, runs
from evornn.service.api.auth import Guard
from evornn.service.api.bodies import Capped
from evornn.service.api.headers import Hosts, Shielded
from evornn.service.api.metrics import Counted, Metrics
from evornn.service.helper import Helper
from evornn.service.isolated import Isolated
from evornn.service.rules import Rules
from evornn.store.store import Store

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ABOUT = """Submit experiments, watch them, compare results. Send `Authorization: Bearer TOKEN`; `evornn token add` makes
one. Errors are `application/problem+json` (RFC 9457). Numbers that aren't finite are the texts `NaN`, `Infinity` and
`-Infinity`."""


def create_app(
    store: Store, rules: Rules | None = None, secret: str | None = None, host_names: Collection[str] = ()
) -> FastAPI:
    """The API over a store. `secret` is a token that may do all; further hosts are answered than the loopback ones.

    Whoever wants to show something else in the same server mounts it: `app.mount("/ui", …)`.
    """
    app = FastAPIOffline(
        title="evornn",
        version=version("evornn"),
        description=ABOUT,
        lifespan=_living,
        favicon_url=None,
        redoc_url="/redoc",
    )
    app.state.service = Isolated(store, Helper(), rules or Rules())
    app.state.guard = Guard(store, secret)
    app.state.metrics = Metrics(store)
    app.state.streams = 0
    problems.install(app)
    for router in (health.router, jobs.router, runs.router, asking.router):
        app.include_router(router)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app.add_middleware(Capped)
    app.add_middleware(Hosts, names={*LOOPBACK, *host_names})
    app.add_middleware(Shielded)
    app.add_middleware(Counted, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _living(app: FastAPI) -> AsyncIterator[None]:
    """The helper starts with the server, so that the first spec needn't wait for it, and ends with it."""
    helper: Helper = app.state.service.helper
    Thread(target=_begin, args=(helper,), daemon=True).start()
    yield
    helper.close()


def _begin(helper: Helper) -> None:
    with suppress(EvornnError):  # the server ended before it was there
        helper.call(_warm)


def _warm() -> None:
    """What the helper will need."""
    import evornn.service.service  # noqa: F401
    from evornn.experiments.catalog import entries

    entries()
