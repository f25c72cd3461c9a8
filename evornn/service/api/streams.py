"""Server-sent events. A client that lost its connection resumes after the last event that it received."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from evornn.errors import EvornnError
from evornn.service.api.news import POLL_SECONDS, NewsFeed
from evornn.service.wire import encode
from evornn.store.records import Event, JobId, LogLine

MEDIA = "text/event-stream"
READ_SECONDS = 5.0  # until a stream reads the store though its job seems to have no news
KEEPALIVE_SECONDS = 15.0  # of silence until a comment is sent
MAX_SECONDS = 600.0  # of a stream; then the client reconnects, and its token is checked again
MAX_STREAMS = 200  # at once
MAX_STREAMS_EACH = 20  # of one token
Fetch = Callable[[int], Sequence[Event] | Sequence[LogLine]]


def accepts_stream(request: Request) -> bool:
    """Whether the client asked for a stream."""
    return MEDIA in request.headers.get("accept", "")


def resume_position(request: Request, after: int) -> int:
    """Where a stream starts: after the client's last event, if it names one, else after `after`."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 19 else after


@dataclass(frozen=True)
class StreamSource:
    """What a stream tells: all streams with an equal one tell the same.

    Args:
        job: The job that the items belong to.
        kind: Events or log lines.
        limit: How many items are read at a time.
        fetch: Reads the items after a number.
        is_ended: Whether no further items will be added.
    """

    job: JobId
    kind: type[Event] | type[LogLine]
    limit: int
    fetch: Fetch = field(compare=False)
    is_ended: Callable[[], bool] = field(compare=False)

    def read(self, after: int) -> StreamPart:
        """The items after a number."""
        over = self.is_ended()  # first: if it has ended by now, nothing is added to what follows
        items = self.fetch(after)
        return StreamPart(b"".join(map(_format_event, items)), items[-1].id if items else after, over and not items)


@dataclass(frozen=True)
class StreamPart:
    """Items of a stream."""

    text: bytes
    last: int  # number of the last item
    is_end: bool  # there will never be more


def stream(request: Request, user: str, source: StreamSource, after: int) -> StreamingResponse:
    """Stream items until there will be no more.

    Args:
        request: The request.
        user: Name of the caller's token.
        source: What it tells.
        after: Number of the item after which the stream starts.

    Raises:
        HTTPException: 429 or 503, too many streams are open, of this token or of all.
    """
    streams: OpenStreams = request.app.state.streams
    streams.enter(user)
    feed: NewsFeed = request.app.state.news

    async def counted() -> AsyncIterator[bytes]:
        with suppress(EvornnError):  # the database can't be reached: the client will reconnect
            async for part in _chunks(feed, source, after):
                yield part

    return CountedResponse(streams, user, counted())


class OpenStreams:
    """Counts the streams of each user."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._lock = Lock()

    def check(self, user: str) -> None:
        """Whether there is room for one more. Raises HTTPException 429 or 503."""
        later = {"Retry-After": "30"}
        if self._count[user] >= MAX_STREAMS_EACH:
            raise HTTPException(429, f"{MAX_STREAMS_EACH} streams of this token are open: close some", later)
        if self._count.total() >= MAX_STREAMS:
            raise HTTPException(503, "too many streams are open: ask for pages, or try again later", later)

    def enter(self, user: str) -> None:
        """Count a stream. Raises HTTPException 429 or 503."""
        with self._lock:
            self.check(user)
            self._count[user] += 1

    def leave(self, user: str) -> None:
        """Count a stream no longer."""
        with self._lock:
            self._count[user] -= 1
            self._count += Counter()  # without those at zero


class CountedResponse(StreamingResponse):
    """A stream that counts as long as it is open, whether or not its client has read a part of it.

    Args:
        streams: The streams that are open.
        user: Name of the caller's token.
        parts: What is sent.
    """

    def __init__(self, streams: OpenStreams, user: str, parts: AsyncIterator[bytes]) -> None:
        super().__init__(parts, media_type=MEDIA, headers={"X-Accel-Buffering": "no"})
        self._streams, self._user = streams, user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._user)


async def _chunks(feed: NewsFeed, source: StreamSource, after: int) -> AsyncIterator[bytes]:
    start = last_sent = time.monotonic()
    seen, due = -1, 0.0
    yield b": evornn\n\n"
    while time.monotonic() - start < MAX_SECONDS:
        count = await feed.count(source.job)
        if count == seen and time.monotonic() < due:
            if time.monotonic() - last_sent > KEEPALIVE_SECONDS:
                last_sent = time.monotonic()
                yield b": keep-alive\n\n"
            await asyncio.sleep(POLL_SECONDS)
            continue
        part = await feed.read((source, after), partial(source.read, after))
        if part.is_end:
            yield b"event: end\ndata: {}\n\n"
            return
        if part.text:
            yield part.text
            after, last_sent = part.last, time.monotonic()
        else:  # only then is all read that the count stands for
            seen, due = count, time.monotonic() + READ_SECONDS


def _format_event(item: Event | LogLine) -> bytes:
    name, kind = (item.kind, Event) if isinstance(item, Event) else ("log", LogLine)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (item.id, name.encode(), encode(kind, item))
