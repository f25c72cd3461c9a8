"""Runs one SELECT of a user on PostgreSQL, in a process of its own (`sandbox_server.py`). Imports nothing of evornn.

Three layers keep it read-only: the role it logs in as, which may read only what is public (reader.py); a read-only
transaction; and the grammar, since DECLARE CURSOR takes nothing but a SELECT and the extended protocol nothing but one
statement. A deadline and limits bound time, rows, bytes and this process's memory. The reply to a
request: {columns, rows}, or {error, what, name, known}.
"""

import math
import re
import resource
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.string import TextLoader

COLUMNS = 200
PORTION = 50  # rows per FETCH
MEMORY = 512 * 2**20  # bytes
ONLY_SELECT = "only SELECT is allowed here: nothing that writes, attaches, or changes settings"
WRITES = {"25006", "42P11", "0A000"}  # in a read-only transaction; in a cursor (SELECT INTO, DELETE in WITH)
WRITING = r'"(INSERT|UPDATE|DELETE|MERGE|INTO)"|INTO is not allowed'  # in the message of a syntax error
UNKNOWN = {  # SQLSTATE → kind of thing that doesn't exist or isn't allowed, and where the message names it
    "42P01": ("table", r'"([^"]+)"'),
    "42703": ("column", r'column "?([\w.$]+)"?'),
    "42883": ("function", r"^function ([\w.$]+)\("),
    "42501": (None, r"(table|view|sequence|function|schema) (\S+)"),
}


class PostgresQueryError(Exception):
    """The query asks for something that it may not have."""


def run_query(request: dict[str, Any]) -> dict[str, Any]:
    """Run the query of a request: login, schema, sql, calls (functions that it calls), functions (that are allowed),
    tables, limit (rows), max_bytes, timeout (seconds)."""
    with psycopg.connect(**request["login"]) as connection:
        connection.read_only = True
        # JSON stays text, as in SQLite's queries.
        for kind in ("json", "jsonb"):
            connection.adapters.register_loader(kind, TextLoader)
        # Once connected, no file grows and memory is bounded.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            _configure(connection, request)
            _check_calls(connection, request)
            return _fetch(connection, request)
        except (psycopg.Error, PostgresQueryError, MemoryError) as error:
            connection.rollback()
            return _explain(error, connection, request)


def _configure(connection: psycopg.Connection[Any], request: dict[str, Any]) -> None:
    """Set search path and limits of this transaction."""
    settings = {
        "search_path": request["schema"],
        "statement_timeout": f"{round(1000 * request['timeout'])}ms",
        "lock_timeout": f"{round(1000 * request['timeout'])}ms",
        "idle_in_transaction_session_timeout": "10s",
        "max_parallel_workers_per_gather": "0",
        "standard_conforming_strings": "on",
        "TimeZone": "UTC",
    }
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])


def _check_calls(connection: psycopg.Connection[Any], request: dict[str, Any]) -> None:
    """Refuse a call of an existing function that isn't allowed. Unknown functions are left to PostgreSQL's own error;
    types and aliases look like calls but aren't functions."""
    hidden = sorted(set(request["calls"]) - set(request["functions"]))
    rows = connection.execute("SELECT DISTINCT proname::text FROM pg_proc WHERE proname = ANY(%s)", [hidden]).fetchall()
    if rows:
        raise PostgresQueryError("function", min(rows)[0])


def _fetch(connection: psycopg.Connection[Any], request: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + request["timeout"]
    # A cursor, fetched in small parts, bounds the memory of this process; the grammar of DECLARE allows only a SELECT.
    # prepare=True sends it by the extended protocol, which takes one statement and no more.
    connection.execute("DECLARE answer NO SCROLL CURSOR FOR " + request["sql"], prepare=True)
    rows: list[list[Any]] = []
    batch: list[list[Any]] = []
    columns: list[str] | None = None
    size = 0
    while columns is None or (batch and len(rows) < request["limit"]):
        cursor = connection.execute(f"FETCH {min(PORTION, request['limit'] - len(rows))} FROM answer")
        columns = [column.name for column in cursor.description or []]
        if len(columns) > COLUMNS:
            raise PostgresQueryError(f"too many columns: at most {COLUMNS}")
        batch = [[_cell(value) for value in row] for row in cursor.fetchall()]
        size += sum(len(cell) if isinstance(cell, str) else 8 for row in batch for cell in row)
        if size > request["max_bytes"]:
            raise PostgresQueryError(
                f"the result is over {request['max_bytes'] // 2**20} MB: select fewer columns or rows"
            )
        # statement_timeout bounds each FETCH, not their sum.
        if time.monotonic() > deadline:
            raise PostgresQueryError(_timeout_message(request))
        rows += batch
    return {"columns": columns, "rows": rows}


def _cell(value: Any) -> Any:
    """A value as SQLite's queries return it: bytes as a literal, times as ISO 8601 (UTC)."""
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _explain(error: BaseException, connection: psycopg.Connection[Any], request: dict[str, Any]) -> dict[str, Any]:
    """The error in one line; for an unknown name, also the names that there are."""
    if isinstance(error, PostgresQueryError):
        what, name = error.args if len(error.args) > 1 else ("", "")
        return _unknown_name(what, name, connection, request) if name else {"error": error.args[0]}
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return {"error": "the query needs too much memory: narrow it with WHERE or LIMIT"}
    assert isinstance(error, psycopg.Error)
    state, message = error.sqlstate or "", error.diag.message_primary or str(error)
    if state in WRITES or (state == "42601" and re.search(WRITING, message, re.IGNORECASE)):
        return {"error": ONLY_SELECT}
    if state == "42601" and "multiple commands" in message:
        return {"error": "only one statement is allowed: remove what follows the first semicolon"}
    if state == "57014":
        return {"error": _timeout_message(request)}
    if state in UNKNOWN and (named := re.search(UNKNOWN[state][1], message)):
        what = UNKNOWN[state][0] or {"function": "function", "schema": "schema"}.get(named[1], "table")
        name = named[named.re.groups].split(".")[-1]
        if what == "table" and name in request["tables"]:  # a public table is denied only to SELECT … FOR UPDATE
            return {"error": ONLY_SELECT}
        if what != "function" or name not in request["functions"]:  # an allowed one has other arguments
            return _unknown_name(what, name, connection, request)
    return {"error": message}


def _unknown_name(what: str, name: str, connection: psycopg.Connection[Any], request: dict[str, Any]) -> dict[str, Any]:
    known = request["functions"] if what == "function" else request["tables"]
    if what == "column":
        used = sorted(set(re.findall(r"\w+", request["sql"].lower())) & set(request["tables"]))
        _configure(connection, request)
        chosen = "SELECT DISTINCT attname::text FROM pg_attribute WHERE attnum > 0 AND attrelid = ANY(%s::regclass[])"
        known = sorted(row[0] for row in connection.execute(chosen, [used]))
    return {"error": f"no such {what}: {name}", "what": what, "name": name, "known": known}


def _timeout_message(request: dict[str, Any]) -> str:
    return f"the query took longer than {request['timeout']:g} s: narrow it with WHERE or LIMIT"


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request."""
    try:
        return run_query(request)
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[-1]
        hint = "allow their role in the server's pg_hba.conf, or start it"
        return {"error": f"queries can't log in: {hint} ({reason})"}
