"""The processes of users' queries: when they start, and when they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from evornn.store.errors import StoreError
from evornn.store.sandboxes import Sandboxes
from evornn.store.store import Store, open_store

ENDLESS = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        yield store


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "sandbox_server" in str(child.cmdline())]


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_server_of_the_sandboxes_starts_with_the_first_query_and_ends_with_the_store(store: Store) -> None:
    before = len(children())
    assert store.query("SELECT 1 + 1") == (["1 + 1"], [[2]])
    assert store.query("SELECT 2")[1] == [[2]]
    eventually(lambda: len(children()) == before + 1)  # the queries' own processes have ended
    store.close()
    assert len(children()) == before
    assert store.query("SELECT 3")[1] == [[3]], "as other methods, it works again"


def test_a_server_that_was_killed_is_started_again(store: Store) -> None:
    store.query("SELECT 1")
    for child in children():
        child.kill()
        child.wait()
    assert store.query("SELECT 2")[1] == [[2]]


def test_queries_run_beside_each_other_and_share_nothing(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        endless = pool.submit(store.query, ENDLESS, timeout=3.0)
        answers = [pool.submit(store.query, f"SELECT {k}") for k in range(30)]
        assert [answer.result()[1] for answer in answers] == [[[k]] for k in range(30)]
        with pytest.raises(StoreError, match="longer than 3 s"):
            endless.result()


def test_a_sandbox_that_does_not_end_is_ended_by_the_clock(store: Store) -> None:
    store.query("SELECT 1")
    (server,) = children()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(store.query, ENDLESS, timeout=1.0)
        eventually(lambda: bool(server.children()))
        sandbox = server.children()[0]
        sandbox.suspend()  # it can't look at its deadline
        with pytest.raises(StoreError, match="longer than 1 s"):
            answer.result()
        sandbox.resume()  # its alarm waits for it
    eventually(lambda: not server.children())


def test_a_sandbox_that_was_killed_harms_its_query_alone(store: Store) -> None:
    store.query("SELECT 1")
    (server,) = children()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(store.query, ENDLESS, timeout=30.0)
        eventually(lambda: bool(server.children()))
        server.children()[0].kill()
        with pytest.raises(StoreError, match="too much memory"):
            answer.result()
    assert store.query("SELECT 2")[1] == [[2]]


def test_half_a_reply_is_none(tmp_path: Path) -> None:
    """As when memory ends while the reply is written."""
    (program := tmp_path / "half.py").write_text(
        "def reply_to(request):\n    return {'rows': 'x' * 9999, 'columns': {1}}\n"
    )
    sandboxes = Sandboxes(str(program))
    assert sandboxes.run({"timeout": 5.0}) == {
        "error": "the query needs too much memory: narrow it with WHERE or LIMIT"
    }
    sandboxes.close()
