"""The frame of every page: menu, theme, notices, a warning about a lost connection; and the page of an address."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.components import error_message, loading_message
from evornn.dashboards.page_context import DashboardPage, PageContext, parse_query
from evornn.errors import EvornnError
from evornn.experiments.reporting.palette import template

NOTICES = "notices"
INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <title>{%title%}</title>
    <link rel="icon" href="PREFIXassets/favicon.svg">
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <footer>{%config%}{%scripts%}{%renderer%}</footer>
  </body>
</html>"""
CONNECTION_LOST = "The server does not respond. This page may be out of date; it resumes when the server is back."


def install(app: Dash, context: PageContext, pages: Sequence[DashboardPage]) -> None:
    """Set the frame's layout, and register the callbacks that fill it.

    Args:
        app: The app.
        context: The context of pages.
        pages: All pages, in the order of the menu.
    """
    app.index_string = INDEX.replace("PREFIX", context.prefix)
    # Dash requests the layout once at the start, before any user is logged in.
    app.layout = lambda: layout(context, pages) if context.is_logged_in else html.Div()

    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))
    def show(path: str | None, search: str | None) -> Component:
        return open_page(context, pages, path or "", search)

    app.clientside_callback(
        ClientsideFunction("frame", "theme"),
        Output("mantine", "forceColorScheme"),
        Input("theme", "n_clicks"),
        State("templates", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("frame", "current"),
        Output("menu", "title"),
        Input("page", "children"),
        State("url", "pathname"),
    )


def layout(context: PageContext, pages: Sequence[DashboardPage]) -> Any:
    """The frame around a page that will be loaded next."""
    templates = {theme: template(theme).to_plotly_json() for theme in ("light", "dark")}
    menu = [dcc.Link(page.name, href=context.link(page.path)) for page in pages if page.in_menu]
    menu_name: dict[str, Any] = {"aria-label": "Pages"}
    caller = context.caller
    return dmc.MantineProvider(
        id="mantine",
        forceColorScheme=context.theme,
        theme={"primaryColor": "blue", "primaryShade": 8, "fontFamily": "system-ui, sans-serif"},
        children=[
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="templates", data=templates),
            dmc.NotificationContainer(id=NOTICES, position="bottom-right", autoClose=8000),
            html.A("Skip to the page", href="#page", className="skip"),
            html.Header(
                [
                    dcc.Link("evornn", href=context.prefix, className="brand"),
                    html.Nav(menu, id="menu", **menu_name),
                    html.Span(f"{caller.name} ({caller.scope})", className="who"),
                    html.Button("Light / dark", id="theme", className="quiet", n_clicks=0),
                    html.Form(
                        html.Button("Log out", className="quiet", type="submit"),
                        action=f"{context.prefix}logout",
                        method="POST",
                    ),
                ]
            ),
            html.Div(CONNECTION_LOST, id="lost", role="alert", hidden=True),
            html.Main(loading_message(), id="page", tabIndex="-1"),
        ],
    )


def open_page(context: PageContext, pages: Sequence[DashboardPage], path: str, search: str | None) -> Component:
    """The page at an address, or a page with an error.

    Args:
        context: The context of pages.
        pages: All pages.
        path: Path of the address.
        search: Query of the address.
    """
    inside = path.removeprefix(context.prefix.rstrip("/")).strip("/")
    first, _, rest = inside.partition("/")
    page = next((page for page in pages if page.path == first), None)
    if page is None:
        return html.Section(
            [html.H1("No such page"), error_message(f"There is no page {inside!r}: see the menu above.")]
        )
    try:
        return page.layout(context, rest, parse_query(search))
    except EvornnError as error:
        return html.Section([html.H1(page.name), error_message(str(error))])


def notice(text: str, colour: str = "blue") -> dict[str, Any]:
    """A notification at the edge of the page. A repeated one is shown once."""
    name = sha256(text.encode()).hexdigest()[:12]
    close = {"aria-label": "Close"}
    return {
        "action": "show",
        "id": name,
        "message": text,
        "color": colour,
        "autoClose": 8000,
        "closeButtonProps": close,
    }
