"""One reading of the store serves all event streams."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from evornn.service.api import news
from evornn.service.api.news import NewsFeed
from evornn.service.api.streams import StreamSource
from evornn.store.records import Event, LogLine
from evornn.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/evornn.db")


def test_streams_at_the_same_place_read_once(store: Store) -> None:
    readings: list[str] = []

    async def streams() -> list[str]:
        feed = NewsFeed(store)
        await feed.count(1)
        asked = [feed.read(what, lambda what=what: readings.append(what) or what) for what in "aaab"]
        return await asyncio.gather(*asked)

    assert asyncio.run(streams()) == list("aaab")
    assert sorted(readings) == ["a", "b"]


def test_after_the_next_look_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "POLL_SECONDS", 0.0)
    readings: list[int] = []

    async def stream() -> None:
        feed = NewsFeed(store)
        for _ in range(3):
            await feed.count(1)
            await feed.read("job 1", lambda: readings.append(1))

    asyncio.run(stream())
    assert len(readings) == 3


def test_a_stream_that_ends_takes_nothing_from_others(store: Store) -> None:
    go_on = threading.Event()

    async def streams() -> str:
        feed = NewsFeed(store)
        first, second = (asyncio.create_task(feed.read("job 1", lambda: go_on.wait() and "read")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        return str(await second)

    assert asyncio.run(streams()) == "read"


def test_streams_tell_the_same_if_their_sources_are_equal() -> None:
    def source(job: int = 1, kind: type[Event] | type[LogLine] = Event, limit: int = 10) -> StreamSource:
        return StreamSource(job, kind, limit, lambda _: [], lambda: False)

    assert source() == source() and hash(source()) == hash(source())
    assert len({source(), source(job=2), source(kind=LogLine), source(limit=20)}) == 4
