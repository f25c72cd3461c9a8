"""The role of users' queries on PostgreSQL. It has its own login, since a session can undo `SET ROLE`, and it may read
the public tables and views only."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import ProgrammingError

from evornn.store.errors import StoreError
from evornn.store.schema import TABLES, VIEWS, readers

INSUFFICIENT_PRIVILEGE = "42501"  # SQLSTATE
LENGTH = 63  # bytes of a name in PostgreSQL


def grant(connection: Connection) -> None:
    """Create the role if it is missing, and let it read the public tables and views. Part of every upgrade.

    Nothing happens where the user may not create roles: `login` then says what to do.
    """
    try:
        with connection.begin_nested():
            role = connection.scalar(select(readers.c.role))
            if role is None or not _role_exists(connection, role):
                role = _create_role(connection)
            _grant_select(connection, role)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise


def login(connection: Connection) -> dict[str, Any]:
    """User, password and schema of the role's connection. Raises StoreError if there is no role."""
    row = connection.execute(select(readers)).mappings().one_or_none()
    if row is None or not _role_exists(connection, row["role"]):
        user = connection.scalar(text("SELECT current_user"))
        raise StoreError(
            f"queries run as their own role, which the user {user!r} may not create: run `evornn db upgrade` once "
            f'as a user who may, or first, as a superuser, ALTER ROLE "{user}" CREATEROLE'
        )
    schema = connection.scalar(text("SELECT current_schema()"))
    return {"user": row["role"], "password": row["password"], "schema": schema}


def _role_exists(connection: Connection, role: str) -> bool:
    return connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first() is not None


def _create_role(connection: Connection) -> str:
    """Create the role with a new password and return its name, which contains the database's: the databases of a server
    share their roles."""
    database = str(connection.scalar(text("SELECT current_database()")))
    role = f"evornn_query_{database}".encode()[:LENGTH].decode(errors="ignore")
    password = secrets.token_urlsafe(32)
    verb = "ALTER" if _role_exists(connection, role) else "CREATE"
    name, secret = _quote(connection, role), _hash_password(connection, role, password)
    for statement in (
        f"{verb} ROLE {name} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT 50 PASSWORD '{secret}'",
        f"ALTER ROLE {name} SET default_transaction_read_only = on",
        f"ALTER ROLE {name} SET statement_timeout = '60s'",
    ):
        connection.exec_driver_sql(statement)
    connection.execute(readers.delete())
    connection.execute(insert(readers).values(role=role, password=password))
    return role


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
