"""The role of users' queries on PostgreSQL. It has its own login, since a session can undo `SET ROLE`, and it may read
the public tables and views only."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import ProgrammingError

from evornn.store.database import savepoint
from evornn.store.errors import StoreError
from evornn.store.schema import TABLES, VIEWS, readers

log = logging.getLogger(__name__)
INSUFFICIENT_PRIVILEGE = "42501"  # SQLSTATE
LENGTH = 63  # bytes of a name in PostgreSQL


def grant(connection: Connection) -> None:
    """Create the role if it is missing, set the password that is stored, and let it read the public tables and views.
    Part of every upgrade.

    Where the user may not do that, one warning says what to do, and so does `login`.
    """
    try:
        with savepoint(connection):
            _ensure_role(connection)
            _grant_select(connection, _stored_role(connection))
    except ProgrammingError as error:
        if not _is_denied(error):
            raise
        if not _is_usable(connection):
            log.warning("%s", _advice(connection))


def login(connection: Connection) -> dict[str, Any]:
    """User, password and schema of the role's connection. Raises StoreError if there is no role."""
    if not _is_usable(connection):
        raise StoreError(_advice(connection))
    row = connection.execute(select(readers)).mappings().one()
    schema = connection.scalar(text("SELECT current_schema()"))
    return {"user": row["role"], "password": row["password"], "schema": schema}


def _ensure_role(connection: Connection) -> None:
    """Create the role, or set its password again: it may be left from an earlier database of this name. A user who may
    not change a role that works already leaves it."""
    usable = _is_usable(connection)
    try:
        with savepoint(connection):
            _make_role(connection)
    except ProgrammingError as error:
        if not (usable and _is_denied(error)):
            raise


def _is_denied(error: ProgrammingError) -> bool:
    return getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE


def _is_usable(connection: Connection) -> bool:
    role = _stored_role(connection)
    return bool(role) and _role_exists(connection, role)


def _advice(connection: Connection) -> str:
    """What a user does who may not make the role."""
    user, role = connection.scalar(text("SELECT current_user")), _role_name(connection)
    if _role_exists(connection, role):
        return (
            f"queries run as the role {role!r}, which exists and which the user {user!r} may not change: as a "
            f'superuser, DROP ROLE "{role}", then run `evornn db upgrade`'
        )
    return (
        f"queries run as their own role, which the user {user!r} may not create: run `evornn db upgrade` once "
        f'as a user who may, or first, as a superuser, ALTER ROLE "{user}" CREATEROLE'
    )


def _stored_role(connection: Connection) -> str:
    """The role's name; empty before the first upgrade by a user who may create it."""
    return str(connection.scalar(select(readers.c.role)) or "")


def _role_name(connection: Connection) -> str:
    """A new role's name, which contains the database's: the databases of a server share their roles."""
    database = str(connection.scalar(text("SELECT current_database()")))
    return f"evornn_query_{database}".encode()[:LENGTH].decode(errors="ignore")


def _role_exists(connection: Connection, role: str) -> bool:
    return connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first() is not None


def _make_role(connection: Connection) -> None:
    """Create or change the role, and store its name and password."""
    stored = connection.execute(select(readers)).mappings().one_or_none()
    role = _role_name(connection) if stored is None else stored["role"]
    password = secrets.token_urlsafe(32) if stored is None else stored["password"]
    name, secret = _quote(connection, role), _hash_password(connection, role, password)
    # Only who has CREATEDB may say NOCREATEDB of a role that exists.
    verb, rights = ("ALTER", "") if _role_exists(connection, role) else ("CREATE", "NOCREATEDB NOCREATEROLE ")
    for statement in (
        f"{verb} ROLE {name} LOGIN {rights}NOINHERIT CONNECTION LIMIT 50 PASSWORD '{secret}'",
        f"ALTER ROLE {name} SET default_transaction_read_only = on",
        f"ALTER ROLE {name} SET statement_timeout = '60s'",
    ):
        connection.exec_driver_sql(statement)
    if stored is None:
        connection.execute(insert(readers).values(role=role, password=password))


def _grant_select(connection: Connection, role: str) -> None:
    public = ", ".join(_quote(connection, name) for name in (*VIEWS, *TABLES))
    schema = _quote(connection, str(connection.scalar(text("SELECT current_schema()"))))
    for what in (f"USAGE ON SCHEMA {schema}", f"SELECT ON {public}"):
        connection.exec_driver_sql(f"GRANT {what} TO {_quote(connection, role)}")


def _hash_password(connection: Connection, role: str, password: str) -> str:
    """Hash a password here, to keep it out of the server's log of statements."""
    driver: Any = connection.connection.driver_connection
    return str(driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode())


def _quote(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
