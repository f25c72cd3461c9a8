"""Assembles the dashboard: one Dash app on one Flask server, with its pages and error handlers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import dash
from flask import Flask

from evornn.dashboards import callback_checks, cluster, compare, files, models, page_frame, query, run, runs, submit
from evornn.dashboards.login import Sessions, protect
from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from a2wsgi.wsgi_typing import WSGIApp

    from evornn.service.api.auth import Guard
    from evornn.service.sandboxed_service import SandboxedService

PREFIX = "/ui/"
PAGES = (runs.PAGE, run.PAGE, compare.PAGE, models.PAGE, submit.PAGE, query.PAGE, cluster.PAGE)
BUG = "a bug in evornn; details are in the server's log: please report it"
log = logging.getLogger(__name__)


def dashboard(service: SandboxedService, guard: Guard, prefix: str = PREFIX) -> WSGIApp:
    """Create the dashboard.

    Args:
        service: All that it shows and does.
        guard: Checks the tokens that users log in with.
        prefix: Path at which the app will be mounted.

    Returns:
        The WSGI app.
    """
    server = Flask(__name__, static_folder=None)
    context = PageContext(service, prefix)
    app = dash.Dash(
        __name__,
        server=server,  # type: ignore[arg-type]  # what its annotation leaves out
        requests_pathname_prefix=prefix,
        routes_pathname_prefix="/",
        title="evornn",
        update_title="",
        assets_ignore="login.css",  # of the login page only
        suppress_callback_exceptions=True,
        add_log_handler=False,
        on_error=notify_error,
    )
    app.logger.setLevel(logging.WARNING)
    protect(server, Sessions(guard), prefix, app.csp_hashes())
    callback_checks.install(server, app)
    files.install(server, context)
    page_frame.install(app, context, PAGES)
    for page in PAGES:
        page.install(app, context)
    return cast("WSGIApp", server)


def notify_error(error: Exception) -> None:
    """Show the error of a callback on the page; log it, too, if it is a bug."""
    if not isinstance(error, EvornnError):
        log.error("a bug in evornn's dashboard", exc_info=error)
    text = str(error) if isinstance(error, EvornnError) else BUG
    dash.set_props(page_frame.NOTICES, {"sendNotifications": [page_frame.notice(text, "red")]})
