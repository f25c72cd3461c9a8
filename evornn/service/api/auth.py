"""Authentication and authorisation: tokens of the store, or of a file, with the scopes read, submit and admin."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from evornn.service.api.problems import Forbidden
from evornn.service.interface import StoreInterface
from evornn.service.sandboxed_service import SandboxedService
from evornn.store.records import JobId, Token
from evornn.store.store import Store
from evornn.store.tokens import SCOPES

OPERATOR = "operator"  # holder of the token of a file
CACHE_SECONDS = 2.0  # for which a valid token is trusted without reading the store
bearer = HTTPBearer(auto_error=False, description="A token created by `evornn token add`.")


@dataclass(frozen=True)
class Caller:
    """The user of a request: name and scope of its token. A scope includes those before it in SCOPES."""

    name: str
    scope: str

    def has_scope(self, scope: str) -> bool:
        """Whether the caller's scope includes this one."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def service(self, service: SandboxedService) -> SandboxedService:
        """A service on behalf of this user, whom a quota binds unless it may set quotas."""
        return service.for_owner(self.name, limited=not self.has_scope("admin"))


class Guard:
    """Checks tokens against the store. `secret` is a further one, of a file, with scope admin."""

    def __init__(self, store: Store, secret: str | None = None) -> None:
        self.store = store
        self._secret_digest = None if secret is None else _digest(secret)
        self._cache: dict[bytes, tuple[float, Caller]] = {}
        self._names: dict[bytes, str] = {}  # of tokens that were valid when they were last seen

    def caller(self, secret: str) -> Caller | None:
        """The holder of a token; None for an invalid one. Raises StoreError."""
        caller = self.recall(secret)
        if caller is None:
            caller = _caller(self.store.token_for(secret))
            self._remember(_digest(secret), caller)
        return caller

    def recall(self, secret: str) -> Caller | None:
        """The holder of a token that was valid a moment ago, without reading the store."""
        digest = _digest(secret)
        if self._secret_digest is not None and hmac.compare_digest(digest, self._secret_digest):
            self._names[digest] = OPERATOR
            return Caller(OPERATOR, "admin")
        until, caller = self._cache.get(digest, (0.0, None))
        return None if time.monotonic() > until else caller

    def name_of(self, secret: str) -> str | None:
        """Whose token this was when it was last seen; None for one that wasn't valid then. It allows nothing: it only
        tells users from strangers, without reading the store."""
        return self._names.get(_digest(secret))

    def _remember(self, digest: bytes, caller: Caller | None) -> None:
        for known in (self._cache, self._names):
            if len(known) > 1000:
                known.clear()
        if caller is None:
            self._cache.pop(digest, None)
            self._names.pop(digest, None)
        else:
            self._cache[digest] = (time.monotonic() + CACHE_SECONDS, caller)
            self._names[digest] = caller.name


async def authorize(
    scopes: SecurityScopes,
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """The caller of a route.

    Args:
        scopes: Scopes that the route needs.
        request: The request.
        credentials: Its bearer token.

    Raises:
        HTTPException: 401 without a valid token, 403 if its scope is too small.
    """
    guard: Guard = request.app.state.guard
    caller = None
    if credentials is not None and _is_plausible(secret := credentials.credentials):
        caller = guard.recall(secret) or await run_in_threadpool(guard.caller, secret)
    if caller is None:
        raise HTTPException(
            401,
            "a valid token is needed: send `Authorization: Bearer TOKEN`; `evornn token add NAME` creates one",
            {"WWW-Authenticate": 'Bearer realm="evornn"'},
        )
    if not all(caller.has_scope(scope) for scope in scopes.scopes):
        raise HTTPException(
            403, f"this token has the scope {caller.scope}: ask for one with the scope {scopes.scopes[-1]}"
        )
    return caller


Reader = Annotated[Caller, Security(authorize, scopes=["read"])]
Submitter = Annotated[Caller, Security(authorize, scopes=["submit"])]
Admin = Annotated[Caller, Security(authorize, scopes=["admin"])]


def check_owner(caller: Caller, store: StoreInterface, job: JobId) -> None:
    """Check that the caller may change a job: its owner may, and an admin.

    Args:
        caller: The user.
        store: Where the job is.
        job: The job.

    Raises:
        NotFound: There is no such job.
        Forbidden: It belongs to another user.
    """
    owner = store.job(job).owner
    if not caller.has_scope("admin") and owner != caller.name:
        raise Forbidden(f"job {job} belongs to another token: ask its owner, or an admin")


def check_model_owner(caller: Caller, store: Store, name: str) -> None:
    """Check that the caller may change a model: the owner of its name may, and an admin.

    Args:
        caller: The user.
        store: Where the model is.
        name: The model.

    Raises:
        NotFound: There is no such model.
        Forbidden: It belongs to another user.
    """
    if not caller.has_scope("admin") and store.model_owner(name) != caller.name:
        raise Forbidden(f"the model {name} belongs to another token: ask its owner, or an admin")


def _caller(token: Token | None) -> Caller | None:
    if token is None:
        return None
    return Caller(token.name, max(token.scopes, key=SCOPES.index))


def _is_plausible(secret: str) -> bool:
    return secret.isascii() and 16 <= len(secret) <= 256


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
