"""Users' read-only SQL. Each query runs in a process of its own, which ends by its deadline: `sandbox.py` for SQLite,
`sandbox_postgres.py` for PostgreSQL."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from evornn.errors import short_repr, suggestion
from evornn.store import reader, sql_lexer
from evornn.store.database import Database
from evornn.store.errors import StoreError
from evornn.store.sandboxes import Sandboxes
from evornn.store.schema import TABLES, VIEWS

MAX_BYTES = 8 * 2**20  # of a result


class QueryMixin(Database):
    """Query."""

    def query(self, sql: str, limit: int = 1000, timeout: float = 5.0) -> tuple[list[str], list[list[Any]]]:
        """Run one SELECT over the views and tables of `docs/reference/store.md`.

        Args:
            sql: The SELECT.
            limit: Maximum number of rows; further ones are left out.
            timeout: Deadline in seconds.

        Returns:
            Column names, and rows of plain values: blobs as SQL literals, times as ISO 8601.

        Raises:
            StoreError: The query isn't a SELECT, names something unknown, or takes more than `timeout`, 8 MB of result
                or 512 MB of memory.
        """
        _check_text(sql)
        request = {"sql": sql, "tables": [*VIEWS, *TABLES], "limit": limit, "timeout": timeout, "max_bytes": MAX_BYTES}
        with self.guard_file():
            reply = self._query_sqlite(request) if self.path is not None else self._query_postgres(request)
        if "error" in reply:
            raise StoreError(_message(reply))
        rows = [[float(cell["$float"]) if isinstance(cell, dict) else cell for cell in row] for row in reply["rows"]]
        return reply["columns"], rows

    def close(self) -> None:
        super().close()
        self._sandboxes.close()

    @cached_property
    def _sandboxes(self) -> Sandboxes:
        return Sandboxes("sandbox.py", ["-S"]) if self.is_sqlite else Sandboxes("sandbox_postgres.py")

    def _query_sqlite(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.path is not None
        return self._sandboxes.run({**request, "uri": f"{self.path.as_uri()}?mode=ro"})

    def _query_postgres(self, request: dict[str, Any]) -> dict[str, Any]:
        sql = request["sql"]
        # PostgreSQL lets every role call most functions and read most of its catalog: look before it sees the query.
        if (problem := sql_lexer.rejection_reason(sql)) is not None:
            return {"error": problem}
        if (name := sql_lexer.system_name(sql)) is not None:
            what, known = ("function", ()) if name in sql_lexer.function_names(sql) else ("table", request["tables"])
            return {"error": name, "what": what, "name": name, "known": known}
        with self.read_transaction() as connection:
            login = reader.login(connection)
        named = {"schema": login.pop("schema"), "login": {**self._address(), **login}}
        allowed = {"calls": sql_lexer.function_names(sql), "functions": sorted(sql_lexer.FUNCTIONS)}
        return self._sandboxes.run({**request, **named, **allowed})

    def _address(self) -> dict[str, Any]:
        """The server's address and connection options, without our user and password."""
        query = {name: value for name, value in self.url.query.items() if name not in ("user", "password", "options")}
        place = {"host": self.url.host, "port": self.url.port, "dbname": self.url.database, "connect_timeout": 5}
        return {**{name: value for name, value in place.items() if value is not None}, **query}


def _check_text(sql: str) -> None:
    if "\0" in sql:
        raise StoreError("the query contains a null character: remove it")
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"the query is not valid text ({error.reason}): remove the broken characters") from None


def _message(reply: dict[str, Any]) -> str:
    if "known" not in reply:
        return " ".join(str(reply["error"]).split())
    if reply["what"] == "function":
        return f"no function {short_repr(reply['name'])} for queries: docs/reference/store.md lists the allowed ones"
    return f"no {reply['what']} {short_repr(reply['name'])} for queries{suggestion(reply['name'], reply['known'])}"
