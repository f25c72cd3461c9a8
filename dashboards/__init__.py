"""The dashboard: what people's networks are doing, in a browser. The only room that imports the user-interface library.

`dashboard(service, guard)` is a WSGI app to be mounted at `/ui` in the API's process. A page is a file; `frame.py`
holds them together, `login.py` says who gets in, and every question goes through the service layer (`desk.py`).
"""

from evornn.dashboards.app import PREFIX, dashboard

__all__ = ["PREFIX", "dashboard"]
