"""Server-sent events. A client that lost its connection resumes after the last event that it received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from evornn.errors import EvornnError
from evornn.service.wire import encode
from evornn.store.records import Event, LogLine

MEDIA = "text/event-stream"
POLL_SECONDS = 0.5  # between two reads of the store
KEEPALIVE_SECONDS = 15.0  # of silence until a comment is sent
MAX_SECONDS = 600.0  # of a stream; then the client reconnects, and its token is checked again
MAX_STREAMS = 100  # at once
Fetch = Callable[[int], Sequence[Event] | Sequence[LogLine]]


def accepts_stream(request: Request) -> bool:
    """Whether the client asked for a stream."""
    return MEDIA in request.headers.get("accept", "")


def resume_position(request: Request, after: int) -> int:
    """Where a stream starts: after the client's last event, if it names one, else after `after`."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 19 else after


def stream(request: Request, fetch: Fetch, is_ended: Callable[[], bool], after: int) -> StreamingResponse:
    """Stream items until there will be no more.

    Args:
        request: The request.
        fetch: Reads the items after a number.
        is_ended: Whether no further items will be added.
        after: Number of the item after which the stream starts.

    Raises:
        HTTPException: 503, too many streams are open.
    """
    state = request.app.state
    if state.streams >= MAX_STREAMS:
        raise HTTPException(503, "too many streams are open: ask for pages, or try again later", {"Retry-After": "30"})

    async def counted() -> AsyncIterator[bytes]:
        state.streams += 1
        try:
            with suppress(EvornnError):  # the database can't be reached: the client will reconnect
                async for part in _chunks(fetch, is_ended, after):
                    yield part
        finally:
            state.streams -= 1

    return StreamingResponse(counted(), media_type=MEDIA, headers={"X-Accel-Buffering": "no"})


async def _chunks(fetch: Fetch, is_ended: Callable[[], bool], after: int) -> AsyncIterator[bytes]:
    start = last_sent = time.monotonic()
    yield b": evornn\n\n"
    while time.monotonic() - start < MAX_SECONDS:
        over = await run_in_threadpool(is_ended)  # first: if it has ended by now, nothing is added to what follows
        items = await run_in_threadpool(fetch, after)
        for item in items:
            yield _format_event(item)
            after = item.id
        if over and not items:
            yield b"event: end\ndata: {}\n\n"
            return
        if items:
            last_sent = time.monotonic()
        elif time.monotonic() - last_sent > KEEPALIVE_SECONDS:
            last_sent = time.monotonic()
            yield b": keep-alive\n\n"
        await asyncio.sleep(0 if items else POLL_SECONDS)


def _format_event(item: Event | LogLine) -> bytes:
    name, kind = (item.kind, Event) if isinstance(item, Event) else ("log", LogLine)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (item.id, name.encode(), encode(kind, item))
