"""Deadlines of connections: whoever sends a head or a body too slowly, or doesn't read, is disconnected.

Only requests count as work for the server; connections that have not sent one yet are cheap, and give way to others.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from dataclasses import dataclass, field
from random import uniform
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the connection, or the end of the last response, to the end of the next head
BODY_SECONDS = 60.0  # from the head to the end of the body
READ_SECONDS = 60.0  # in which a client must read something of what it is sent
MAX_CONNECTIONS = 10_000
AT_ONCE = 4  # connections that are accepted before others have their turn
SPREAD = 0.2  # of a deadline, by which it is longer, at random: of many that began together, few end together
QUEUE = 2048  # connections that may wait to be accepted
SPARE_FILES = 200  # for the database, the listener, …
EXPIRED = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class FairServer(uvicorn.Server):
    """A server that accepts few connections at once, so that a thousand new ones don't stop those that it has."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(QUEUE)  # asyncio accepts `backlog` at once, and has made the queue as short


@dataclass
class ConnectionLimits:
    """The limits of one server, and the connections that wait for a head, the longest-waiting one first."""

    connections: int
    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    read_seconds: float = READ_SECONDS
    waiting: dict[TimedProtocol, None] = field(default_factory=dict)

    def protocol(self) -> type[H11Protocol]:
        """The class of the server's connections."""
        return type("Connection", (TimedProtocol,), {"limits": self})


class TimedProtocol(H11Protocol):
    """A connection with deadlines."""

    limits: ConnectionLimits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        if len(self.connections) > self.limits.connections:
            self._make_room()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.limits.waiting.pop(self, None)
        for name in list(self._timers):
            self._stop(name)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_at_work:
            self._expect_body()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop("body")
        if not self._is_at_work:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start("read", self.limits.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("read")

    @property
    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self.limits.waiting[self] = None
        self._start("head", self.limits.head_seconds, self._expire)

    def _expect_body(self) -> None:
        self.limits.waiting.pop(self, None)
        self._stop("head")
        if not self.cycle.more_body:
            self._stop("body")
        elif "body" not in self._timers:
            self._start("body", self.limits.body_seconds, self._expire)

    def _expire(self) -> None:
        if not self.transport.is_closing() and not (self._is_at_work and self.cycle.response_started):
            self.transport.write(EXPIRED)
        self.transport.close()

    def _make_room(self) -> None:
        """Disconnect whoever has waited longest without a head; the newcomer, if all others are at work."""
        next(iter(self.limits.waiting), self).transport.abort()

    def _start(self, name: str, seconds: float, end: Any) -> None:
        self._stop(name)
        self._timers[name] = self.loop.call_later(seconds * uniform(1.0, 1.0 + SPREAD), end)

    def _stop(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()


def raise_file_limit() -> int:
    """Let this process have as many open files as it may. Returns how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    available = wanted if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MAX_CONNECTIONS, available - SPARE_FILES))
