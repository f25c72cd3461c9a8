"""Some disturbances of benchmarks/chaos.py, which has all, on both databases: everything ends well, to the bit."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from benchmarks.chaos import PLAN, disturb, measure_undisturbed
from benchmarks.disturbances import DISTURBANCES
from benchmarks.proxy import Proxy

FEW = {"worker": 1, "dispatcher": 1, "cancel": 1, "disk": 1}  # test_crash.py kills the rest, on PostgreSQL


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return measure_undisturbed()[0]


@pytest.mark.slow
def test_whatever_happens_everything_ends_well(expected: dict[str, Any]) -> None:
    result = disturb("sqlite", expected, FEW, seed=1)
    assert result["wrong"] == [] and result["runs"] >= len(expected)
    assert {*FEW} - {"disk"} <= set(result["happened"]) <= {*FEW}, "not every user may mount a disk"


def test_everything_that_can_happen_is_planned() -> None:
    assert set(PLAN) == set(DISTURBANCES)


def test_nothing_gets_through_a_cut_and_old_connections_are_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        proxy = Proxy(server.getsockname()[1])
        with _connected(proxy) as before:
            before.sendall(b"a")
            assert before.recv(1) == b"a"
            proxy.cut()
            before.sendall(b"b")
            during = _connected(proxy)
            proxy.restore()
            assert before.recv(1) == b"", "neither its answer nor an error, only the end"
            during.close()
        with _connected(proxy) as after:
            after.sendall(b"c")
            assert after.recv(1) == b"c"
        proxy.close()
        server.shutdown(socket.SHUT_RDWR)


def _connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def _echo(server: socket.socket) -> None:
    with suppress(OSError):  # closed
        while True:
            threading.Thread(target=_answer, args=(server.accept()[0],), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while data := connection.recv(100):
            connection.sendall(data)
