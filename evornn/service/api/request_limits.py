"""Requests at once: each user has places of his own, and waits for one of them rather than for other users."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evornn.service.api import problems
from evornn.service.api.auth import Guard

ACTIVE = 10  # requests of a token that are worked on at once; also of an address without a token
WAITING = 100  # further ones that wait for their turn
STRANGERS = 50  # requests without a known token that are worked on at once, of all addresses together
REQUESTS = 1000  # that are worked on or wait, of all users
BUSY = "the server has too many requests: try again in a few seconds"
TOO_MANY = f"more than {ACTIVE + WAITING} requests at once with this token or from this address: send fewer at a time"
STREAM = b"text/event-stream"


@dataclass
class Places:
    """The places of one user."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ACTIVE))
    pending: int = 0


class RequestLimits:
    """Middleware that limits the requests of each token, and of each address without one.

    Args:
        app: The app.
        guard: Knows the tokens.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app, self.guard = app, guard
        self._places: dict[str, Places] = {}
        self._strangers = asyncio.Semaphore(STRANGERS)
        self._pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        known = self.guard.name_of(_secret(scope))
        user = f"token {known}" if known is not None else f"address {(scope['client'] or ('',))[0]}"
        places = self._places.setdefault(user, Places())
        if places.pending >= ACTIVE + WAITING or self._pending >= REQUESTS:
            status, why = (429, TOO_MANY) if places.pending >= ACTIVE + WAITING else (503, BUSY)
            await problems.problem_response(status, why, problems.RETRY_LATER)(scope, receive, send)
            return
        self._pending += 1
        places.pending += 1
        try:
            async with self._strangers if known is None else nullcontext():
                await self._take_place(places, scope, receive, send)
        finally:
            self._pending -= 1
            places.pending -= 1
            if not places.pending:
                self._places.pop(user, None)

    async def _take_place(self, places: Places, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in one of its user's places. A stream gives it back as soon as it begins: it has its own
        limit."""
        await places.free.acquire()
        held = True

        async def give_back_and_send(message: Message) -> None:
            nonlocal held
            if held and message["type"] == "http.response.start" and _is_stream(message):
                held = False
                places.free.release()
            await send(message)

        try:
            await self.app(scope, receive, give_back_and_send)
        finally:
            if held:
                places.free.release()


def _secret(scope: Scope) -> str:
    """The bearer token of a request; "" if there is none."""
    scheme, _, secret = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _is_stream(message: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(STREAM) for name, value in message["headers"])
