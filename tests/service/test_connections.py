"""Slow clients, many clients, and what they leave to others: connections, requests at once, turns at the helper."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import uvicorn

from evornn.service.api import request_limits
from evornn.service.api.auth import Guard
from evornn.service.api.bodies import WholeBody
from evornn.service.api.connections import ConnectionLimits, raise_file_limit
from evornn.service.api.request_limits import RequestLimits
from evornn.service.turns import ServerBusy, Turns, UserBusy
from evornn.store.store import open_store

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
PATIENT = 3600.0  # seconds: longer than any test


# ---- connections ---------------------------------------------------------------------------------------------------


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with as many bytes as the path says, once the body is there."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    size = int(scope["path"].strip("/") or 2)
    for _ in range(-(-size // 2**16)):
        await send({"type": "http.response.body", "body": b"." * min(size, 2**16), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def serving(**limits: Any) -> Iterator[tuple[str, int]]:
    given = {"connections": 1000, "head_seconds": PATIENT, "body_seconds": PATIENT, "read_seconds": PATIENT, **limits}
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1000)
    protocol = ConnectionLimits(**given).protocol()
    config = uvicorn.Config(echo, http=protocol, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


def connect(address: tuple[str, int], text: bytes = b"") -> socket.socket:
    connection = socket.create_connection(address, timeout=60)
    connection.sendall(text)
    return connection


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection, or the end of one response."""
    received = b""
    while b"\r\n\r\n" not in received or b"transfer-encoding: chunked" in received.lower():
        try:
            part = connection.recv(2**16)
        except ConnectionResetError:
            break
        received += part
        if not part or received.endswith(b"0\r\n\r\n"):
            break
    return received


def test_a_slow_head_is_given_up() -> None:
    with serving(head_seconds=0.2) as address:
        for text in (b"", b"GET / HT", REQUEST[:-2]):
            with closing(connect(address, text)) as slow:
                assert b"408" in answer(slow) and slow.recv(1) == b""


def test_a_slow_second_head_is_given_up_too() -> None:
    with serving(head_seconds=0.5) as address, closing(connect(address, REQUEST)) as slow:
        assert answer(slow).startswith(b"HTTP/1.1 200")
        slow.sendall(REQUEST + b"GET / HT")
        assert answer(slow).startswith(b"HTTP/1.1 200")
        assert b"408" in answer(slow)


def test_a_slow_body_is_given_up() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    with serving(body_seconds=0.2) as address:
        with closing(connect(address, head + b"few")) as slow:
            assert b"408" in answer(slow)
        with closing(connect(address, head + b"." * 100)) as quick:
            assert answer(quick).startswith(b"HTTP/1.1 200")


def test_a_body_has_more_time_than_a_head() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"
    with serving(head_seconds=0.2) as address, closing(connect(address, head)) as slow:
        with closing(connect(address)) as idle:
            assert b"408" in answer(idle)  # longer than a head may take
        slow.sendall(b"12345")
        assert answer(slow).startswith(b"HTTP/1.1 200")


def test_who_does_not_read_is_disconnected() -> None:
    with serving(read_seconds=0.2) as address, closing(connect(address)) as deaf:
        deaf.sendall(b"GET /500000000 HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(2)  # ten times what it may
        received = 1
        total = 0
        while received:  # what had been sent, then the end
            try:
                received = len(deaf.recv(2**20))
            except ConnectionResetError:
                break
            total += received
        assert total < 500_000_000


def test_connections_without_a_request_give_way() -> None:
    with serving(connections=5) as address:
        idle = [connect(address, b"GET / HT") for _ in range(300)]
        with closing(connect(address, REQUEST)) as newcomer:
            assert answer(newcomer).startswith(b"HTTP/1.1 200")
        for connection in idle:
            connection.close()


def test_a_server_may_have_many_connections() -> None:
    assert raise_file_limit() >= 500


# ---- requests at once ----------------------------------------------------------------------------------------------


class Held:
    """An app whose requests wait for each other's release; a path /stream begins its response before."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.free = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/stream":
            await send(_start(b"text/event-stream"))
        self.working.append(_user(scope))
        await self.free.wait()
        await send(_start(b"text/plain"))


def _start(media: bytes) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", media)]}


def _user(scope: Any) -> str:
    return str(dict(scope["headers"]).get(b"authorization", b"").decode().partition(" ")[2] or scope["client"][0])


class KnowsNames(Guard):
    """A guard that knows tokens without a store."""

    def __init__(self) -> None:
        pass

    def name_of(self, secret: str) -> str | None:
        return secret if secret in ("ann", "bob") else None


async def ask(app: Any, token: str = "", address: str = "10.0.0.1", path: str = "/") -> int:
    statuses = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "client": (address, 1)}
    await app(scope, None, send)
    return int(statuses[-1])


def run(story: Callable[[Held, RequestLimits], Awaitable[None]]) -> None:
    async def told() -> None:
        held = Held()
        await story(held, RequestLimits(held, KnowsNames()))

    asyncio.run(told())


def test_one_user_leaves_places_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "WAITING", 5)

    async def story(held: Held, app: RequestLimits) -> None:
        greedy = [asyncio.create_task(ask(app, "ann")) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        bob = asyncio.create_task(ask(app, "bob"))
        while "bob" not in held.working:
            await asyncio.sleep(0)
        assert held.working.count("ann") == request_limits.ACTIVE
        held.free.set()
        assert await bob == 200
        statuses = [await task for task in greedy]
        assert statuses.count(200) == request_limits.ACTIVE + 5 and statuses.count(429) == 40 - 15
        assert await ask(app, "ann") == 200, "all places are free again"

    run(story)


def test_strangers_share_few_places_whatever_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "STRANGERS", 4)

    async def story(held: Held, app: RequestLimits) -> None:
        tasks = [asyncio.create_task(ask(app, "unknown", f"10.0.0.{k % 7}")) for k in range(20)]
        ann = asyncio.create_task(ask(app, "ann"))
        while "ann" not in held.working:
            await asyncio.sleep(0)
        assert len(held.working) == 5
        held.free.set()
        assert [await task for task in (*tasks, ann)] == [200] * 21

    run(story)


def test_a_stream_takes_no_place() -> None:
    async def story(held: Held, app: RequestLimits) -> None:
        streams = [asyncio.create_task(ask(app, "ann", path="/stream")) for _ in range(request_limits.ACTIVE + 5)]
        while len(held.working) < len(streams):
            await asyncio.sleep(0)
        held.free.set()
        assert [await task for task in streams] == [200] * len(streams)

    run(story)


def test_the_guard_knows_whose_token_it_was_but_not_every_word(url: str) -> None:
    with open_store(url) as store:
        guard = Guard(store)
        secret = store.add_token("ann", ["read"])
        assert guard.name_of(secret) is None
        assert guard.caller(secret) is not None and guard.name_of(secret) == "ann"
        assert guard.caller("evornn_guessed") is None and guard.name_of("evornn_guessed") is None


# ---- turns ---------------------------------------------------------------------------------------------------------


def test_users_take_turns() -> None:
    turns, order, threads = Turns(), [], []

    def call(user: str) -> None:
        with turns.turn(user):
            order.append(user)

    with turns.turn("first"):
        for user in ("ann", "ann", "ann", "bob", "carl"):
            threads.append(threading.Thread(target=call, args=(user,)))
            threads[-1].start()
            while sum(turns._pending.values()) < len(threads) + 1:
                pass
    for thread in threads:
        thread.join()
    assert order == ["ann", "bob", "carl", "ann", "ann"] and turns._pending == {}


def test_too_many_calls_of_one_user_and_of_all() -> None:
    turns, wait = Turns(most=3, most_each=2), threading.Event()

    def call(user: str) -> None:
        with turns.turn(user):
            wait.wait()

    threads = [threading.Thread(target=call, args=(user,)) for user in ("ann", "ann")]
    for thread in threads:
        thread.start()
    while sum(turns._pending.values()) < 2:
        pass
    with pytest.raises(UserBusy, match="2 specs or comparisons of yours"), turns.turn("ann"):
        pass
    threads.append(threading.Thread(target=call, args=("bob",)))
    threads[-1].start()
    while sum(turns._pending.values()) < 3:
        pass
    with pytest.raises(ServerBusy), turns.turn("carl"):
        pass
    wait.set()
    for thread in threads:
        thread.join()


def test_an_error_ends_the_turn() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(OSError, match="crash"), turns.turn("ann"):
            raise OSError("crash")


def test_a_slow_body_keeps_no_thread_busy() -> None:
    async def story() -> None:
        called: list[bytes] = []
        more = asyncio.Event()
        parts = [(b"one", True), (b"two", False)]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body = b""
            while True:
                message = await receive()
                body += message["body"]
                if not message.get("more_body"):
                    break
            called.append(body)

        async def receive() -> Any:
            if len(parts) == 1:
                await more.wait()
            body, is_more = parts.pop(0)
            return {"type": "http.request", "body": body, "more_body": is_more}

        task = asyncio.create_task(WholeBody(app)({"type": "http"}, receive, None))
        await asyncio.sleep(0.01)
        assert parts == [(b"two", False)] and called == [], "the app is not called yet"
        more.set()
        await task
        assert called == [b"onetwo"]

    asyncio.run(story())
