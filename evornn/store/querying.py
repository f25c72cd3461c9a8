"""Read-only SQL that people write. It runs in `sandbox.py`, a process that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from evornn.errors import suggestion
from evornn.store.database import Database
from evornn.store.errors import StoreError

VIEWS = ("results", "leaderboard", "learning_curves")
TABLES = ("experiments", "specs", "jobs", "runs", "progress", "metric_keys", "metrics", "events", "logs", "workers")
MAX_BYTES = 8 * 2**20  # of a result
GRACE = 3.0  # seconds beyond the deadline, then the process is killed


class Querying(Database):
    """Query."""

    def query(self, sql: str, limit: int = 1000, timeout: float = 5.0) -> tuple[list[str], list[list[Any]]]:
        """Column names and the first `limit` rows of one SELECT over the views and tables of `docs/store.md`.

        Blobs come as SQL literals. Raises StoreError for anything that isn't a SELECT, for unknown names, and after
        `timeout` seconds, 8 MB of result or 512 MB of memory.
        """
        if self.path is None:
            raise StoreError("queries run on SQLite stores: on PostgreSQL use psql with a role that may only read")
        request = {"uri": f"{self.path.as_uri()}?mode=ro", "sql": sql, "tables": [*VIEWS, *TABLES]}
        with self.present():
            reply = _run({**request, "limit": limit, "timeout": timeout, "max_bytes": MAX_BYTES}, timeout + GRACE)
        if "error" in reply:
            raise StoreError(_message(reply))
        rows = [[float(cell["$float"]) if isinstance(cell, dict) else cell for cell in row] for row in reply["rows"]]
        return reply["columns"], rows


def _run(request: dict[str, Any], seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("sandbox.py"))]
    try:
        done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"the query took longer than {request['timeout']:g} s: narrow it with WHERE or LIMIT"}
    if done.returncode != 0:
        return {"error": "the query needs too much memory: narrow it with WHERE or LIMIT"}
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def _message(reply: dict[str, Any]) -> str:
    if "known" not in reply:
        return " ".join(str(reply["error"]).split())
    if reply["what"] == "function":
        return f"no function {reply['name']!r} for queries: docs/store.md lists those that there are"
    return f"no {reply['what']} {reply['name']!r} for queries{suggestion(reply['name'], reply['known'])}"
