"""The dashboard: runs, comparisons and queries in a browser. The only package that imports Dash.

`dashboard(service, guard)` is a WSGI app to be mounted at `/ui` in the API's process. Each page is a file;
`page_frame.py` surrounds them, `login.py` authenticates users, and `page_context.py` gives pages the service.
"""

from evornn.dashboards.app import PREFIX, dashboard

__all__ = ["PREFIX", "dashboard"]
