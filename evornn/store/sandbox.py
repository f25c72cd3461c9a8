"""Runs one SELECT of a user on SQLite, in a process of its own (`sandbox_server.py`). Imports nothing of evornn.

Four layers keep it read-only and small: the file is opened with mode=ro; an authorizer allows only SELECT, listed
tables and listed functions; the operating system lets no file grow; a deadline and limits bound time, memory and every
length. The reply to a request: {columns, rows}, or {error, what, name, known}.
"""

import contextlib
import math
import re
import resource
import sqlite3
import time
from typing import Any

NAMES = (
    "abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos cosh count "
    "cume_dist date datetime degrees dense_rank exp first_value floor format glob group_concat hex ifnull iif "
    "instr json json_array json_array_length json_extract json_group_array json_group_object json_object "
    "json_type json_valid julianday lag last_value lead length like ln log log10 log2 lower ltrim max min mod "
    "nth_value ntile nullif percent_rank pi pow power printf quote radians rank replace round row_number rtrim "
    "sign sin sinh sqrt strftime string_agg substr substring sum tan tanh time timediff total trim trunc "
    "typeof unicode unixepoch upper "
    "-> ->>"
)
FUNCTIONS = frozenset(NAMES.split())
READABLE = frozenset(["sqlite_master", "sqlite_schema", "json_each", "json_tree"])
LIMITS = {  # SQLite's own limits: https://sqlite.org/limits.html
    sqlite3.SQLITE_LIMIT_LENGTH: 4_000_000,  # bytes of a value or a row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 64,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
MEMORY = 512 * 2**20  # bytes


class SqliteQueryError(Exception):
    """The query asks for something that it may not have."""


def run_query(request: dict[str, Any]) -> dict[str, Any]:
    """Run the query of a request: uri, sql, tables, limit (rows), max_bytes, timeout (seconds)."""
    connection = _open(request["uri"])
    denials: list[str] = []
    deadline = time.monotonic() + request["timeout"]
    # SQLite asks the authorizer about every table, column and function while it compiles a statement. It reports a
    # denial as a bare "not authorized", so the authorizer notes in `denials` what was denied.
    connection.set_authorizer(
        _make_authorizer(_hidden_tables(connection, request["tables"]), request["tables"], denials)
    )
    # Called every 10,000 instructions of SQLite's virtual machine; True interrupts the query.
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        return _fetch(connection.execute(request["sql"]), request["limit"], request["max_bytes"])
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError, SqliteQueryError) as error:
        # To name what there is instead, the explanation reads the schema: without the guards.
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)
        return _explain(denials[0] if denials else str(error), connection, request)


def _open(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=2.0, isolation_level=None)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.execute("PRAGMA temp_store=MEMORY")  # large sorts meet the memory limit, not the disk
    connection.execute("PRAGMA query_only=ON")
    # The first read creates the shared-memory file that WAL needs; after the file-size limit below it couldn't.
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    for what, value in LIMITS.items():
        connection.setlimit(what, value)
    # From here on, also whatever escapes SQLite's own limits can neither write a byte nor take more memory.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return connection


def _hidden_tables(connection: sqlite3.Connection, tables: list[str]) -> set[str]:
    """Tables and views of the database that queries may not read."""
    return {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master")} - set(tables)


def _make_authorizer(hidden: set[str], tables: list[str], denials: list[str]) -> Any:
    readable = READABLE | set(tables)

    def allowed(action: int, first: str | None, second: str | None) -> bool:
        if action == sqlite3.SQLITE_FUNCTION:
            return (second or "").lower() in FUNCTIONS
        if action == sqlite3.SQLITE_READ:
            # count(*) over a WITH query reads the column "" of the query's name, which can be any that isn't taken.
            name = (first or "").lower()
            return name in readable or (second == "" and name not in hidden)
        # All else (INSERT, ATTACH, PRAGMA, CREATE TEMP TABLE, …) is an action of its own, and denied.
        return action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)

    def authorize(action: int, first: str | None, second: str | None, *_where: str | None) -> int:
        if allowed(action, first, second):
            return sqlite3.SQLITE_OK
        named = {sqlite3.SQLITE_FUNCTION: f"no such function: {second}", sqlite3.SQLITE_READ: f"no such table: {first}"}
        denials.append(named.get(action, "not a SELECT"))
        return sqlite3.SQLITE_DENY

    return authorize


def _fetch(cursor: sqlite3.Cursor, limit: int, max_bytes: int) -> dict[str, Any]:
    if cursor.description is None:
        raise SqliteQueryError("empty query: write one SELECT")
    rows: list[list[Any]] = []
    size = 0
    while len(rows) < limit and (row := cursor.fetchone()) is not None:
        rows.append([_cell(value) for value in row])
        size += sum(len(cell) if isinstance(cell, str) else 8 for cell in rows[-1])
        if size > max_bytes:
            raise SqliteQueryError(f"the result is over {max_bytes // 2**20} MB: select fewer columns or rows")
    return {"columns": [column[0] for column in cursor.description], "rows": rows}


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    return value


def _explain(problem: str, connection: sqlite3.Connection, request: dict[str, Any]) -> dict[str, Any]:
    """The error in one line; for an unknown name, also the names that there are."""
    if problem == "not a SELECT" or "VACUUM" in problem:
        return {"error": "only SELECT is allowed here: nothing that writes, attaches, or changes settings"}
    if problem.startswith("You can only execute one"):
        return {"error": "only one statement is allowed: remove what follows the first semicolon"}
    if problem == "interrupted":
        return {"error": f"the query took longer than {request['timeout']:g} s: narrow it with WHERE or LIMIT"}
    if unknown := re.fullmatch(r"no such (table|column|function): (.*)", problem):
        what, name = unknown[1], unknown[2].split(".")[-1] or unknown[2]
        return {"error": problem, "what": what, "name": name, "known": _known_names(what, connection, request)}
    if "syntax error" in problem:
        return {"error": f"{problem}: write one SELECT in SQLite's syntax"}
    return {"error": problem or "the query needs too much memory: narrow it with WHERE or LIMIT"}


def _known_names(what: str, connection: sqlite3.Connection, request: dict[str, Any]) -> list[str]:
    if what == "function":
        return sorted(FUNCTIONS - {"->", "->>"})
    if what == "table":
        return list(request["tables"])
    used = set(re.findall(r"\w+", request["sql"].lower())) & set(request["tables"])
    columns = [connection.execute("SELECT name FROM pragma_table_info(?)", (table,)) for table in used]
    return sorted({name for rows in columns for (name,) in rows})


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request."""
    try:
        return run_query(request)
    except sqlite3.Error as error:
        return {"error": f"the database can't be opened ({error})"}
