"""Access tokens of the server: the secret is random and shown once; the store keeps its hash and its scopes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from sqlalchemy import RowMapping, Select, or_, select, update

from evornn.errors import UnknownName
from evornn.store.database import Database
from evornn.store.errors import Conflict, NotFound, StoreError, retry_transaction
from evornn.store.names import check_names
from evornn.store.records import Token
from evornn.store.schema import now, tokens
from evornn.store.submissions import ensure_row

SCOPES = ("read", "submit", "admin")
BYTES = 32  # of randomness in a secret, so a fast hash is safe
LONGEST = 100 * 365 * 86_400.0  # seconds of a lifetime
RESOLUTION = 60.0  # seconds between two writes of `last_used`


class TokenMixin(Database):
    """Add, list, revoke and look up."""

    @retry_transaction
    def add_token(self, name: str, scopes: Iterable[str], lifetime: float | None = None) -> str:
        """Create a token and return its secret, which can't be shown again.

        Args:
            name: Name of the token, unique.
            scopes: One or more of read, submit and admin.
            lifetime: Seconds after which it expires; None: never.

        Returns:
            The secret.

        Raises:
            Conflict: The name is taken.
            UnknownName: There is no such scope.
            StoreError: The name or the scopes are empty, or the lifetime is none.
        """
        given = _check_scopes(scopes)
        ordered = [scope for scope in SCOPES if scope in given]
        check_names(name=name)
        if not name or not ordered:
            raise StoreError(f"a token needs a name and at least one scope of {', '.join(SCOPES)}")
        if lifetime is not None and not 0 < lifetime <= LONGEST:
            raise StoreError("a token's lifetime is more than 0 s and at most 100 years: give another, or none")
        secret = f"evornn_{secrets.token_urlsafe(BYTES)}"
        with self.write_transaction() as connection:
            values = {"name": name, "digest": _digest(secret), "scopes": ordered}
            expires = None if lifetime is None else now() + lifetime
            if ensure_row(connection, tokens, {**values, "expires": expires}) is None:
                raise Conflict(f"there is already a token {name!r}: choose another name")
        return secret

    def tokens(self) -> list[Token]:
        """All tokens, including revoked and expired ones, oldest first."""
        with self.read_transaction() as connection:
            return [_token(row) for row in connection.execute(_select_tokens().order_by(tokens.c.id)).mappings()]

    @retry_transaction
    def revoke_token(self, name: str) -> None:
        """Make a token invalid from now on. Raises NotFound for an unknown name."""
        change = update(tokens).where(tokens.c.name == name, tokens.c.revoked.is_(None)).values(revoked=now())
        with self.write_transaction() as connection:
            if connection.execute(select(tokens.c.id).where(tokens.c.name == name)).first() is None:
                raise NotFound(f"no token {name!r}: `evornn token ls` shows all")
            connection.execute(change)

    def token_for(self, secret: str) -> Token | None:
        """The valid token with this secret, or None. Notes when the token was last used, where that can be written."""
        with self.read_transaction() as connection:
            chosen = _select_tokens().where(tokens.c.digest == _digest(secret), tokens.c.revoked.is_(None))
            chosen = chosen.where(or_(tokens.c.expires.is_(None), tokens.c.expires > now()))
            row = connection.execute(chosen.add_columns(now().label("now"))).mappings().one_or_none()
        if row is None:
            return None
        if row["last_used"] is None or row["now"] - row["last_used"] > RESOLUTION:
            self._note_use(row["id"])
        return _token(row)

    def _note_use(self, token: int) -> None:
        """Note that a token was used now. Nothing of it may refuse or delay a request: neither a full disk, nor a
        read-only database, nor the write of another process. The next request then tries again."""
        free = select(tokens.c.id).where(tokens.c.id == token).with_for_update(skip_locked=True)
        with suppress(StoreError), self.write_transaction(busy_seconds=0.0) as connection:
            connection.execute(update(tokens).where(tokens.c.id.in_(free)).values(last_used=now()))


def _select_tokens() -> Select[Any]:
    names = ("id", "name", "scopes", "created", "last_used", "revoked", "expires")
    return select(*(tokens.c[name] for name in names))


def _token(row: RowMapping) -> Token:
    times = {name: row[name] for name in ("created", "last_used", "revoked", "expires")}
    return Token(row["id"], row["name"], tuple(row["scopes"]), **times)


def _check_scopes(scopes: Iterable[str]) -> set[str]:
    given = set(scopes)
    for scope in sorted(given - set(SCOPES)):
        raise UnknownName("scope", scope, SCOPES)
    return given


def _digest(secret: str) -> str:
    return sha256(secret.encode(errors="replace")).hexdigest()
