"""One greedy user beside twenty others: huge specs, slow connections and event streams, and what the others notice.

`python -m benchmarks.crowd [--quick] [--postgres] [--json FILE]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.load import Answers, memory, one
from evornn.store.errors import Unreachable
from evornn.store.records import Claim
from evornn.store.store import Store, open_store
from evornn.training.records import Result
from tests.support.postgres import Postgres
from tests.support.serving import Server, serving

SPAWN = multiprocessing.get_context("spawn")
USERS, SLOTS, RUN_SECONDS = 20, 8, 2.0
PAUSE = 1.0  # seconds between two requests of a user
SPEC: dict[str, Any] = {
    "name": "crowd",
    "tasks": [{"kind": "adding", "length": 10, "train": 64, "valid": 32, "test": 32}],
    "networks": [{"kind": "lstm", "units": 4}],
    "trainers": [{"kind": "adam"}],
    "seeds": 2,
    "budget": {"steps": 100_000, "marks": 10},
}
MIX: tuple[tuple[float, str, str, Any], ...] = (  # share, method, path, body
    (30, "GET", "/api/v1/jobs?limit=50", None),
    (25, "GET", "/api/v1/runs?limit=100", None),
    (20, "GET", "/api/v1/jobs/1", None),
    (10, "GET", "/api/v1/jobs/1/events?limit=100", None),
    (5, "POST", "/api/v1/query", {"sql": "SELECT state, count(*) FROM runs WHERE job_id = 1 GROUP BY state"}),
    (5, "POST", "/api/v1/jobs", SPEC),
    (5, "GET", "/healthz", None),
)
P99, SHARE = 0.300, 60.0  # aims: seconds


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seconds: float
    runs: int  # of each of the greedy user's three specs
    slow: int
    streams: int


FULL = Size(seconds=90.0, runs=100_000, slow=500, streams=1_000)
QUICK = Size(seconds=10.0, runs=2_000, slow=50, streams=100)


@dataclass
class Slots:
    """A dispatcher whose runs take RUN_SECONDS each: who gets the slots, and how long the first run of a job waits."""

    claims: Counter[str] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=dict)
    held: list[tuple[float, Claim]] = field(default_factory=list)
    outages: int = 0  # claims that found the database locked for ten seconds

    def work(self, store: Store, is_over: Callable[[], bool]) -> None:
        """Claim and finish until it is over."""
        seen: set[int] = set()
        while not is_over():
            for begun, claim in list(self.held):
                if time.monotonic() - begun > RUN_SECONDS:
                    store.finish(claim.run.id, claim.lease, RESULT)
                    self.held.remove((begun, claim))
            try:
                claimed = store.claim("slots") if len(self.held) < SLOTS else None
            except Unreachable:  # a dispatcher waits, too
                self.outages += 1
                continue
            if claimed is None:
                time.sleep(0.05)
                continue
            self.held.append((time.monotonic(), claimed))
            job = store.job(claimed.run.job)
            self.claims[job.owner] += 1
            if job.id not in seen:
                seen.add(job.id)
                self.waits.setdefault(job.owner, []).append((claimed.run.started or 0.0) - job.created)


def main() -> None:
    """Print figures and aims, and write them to a file if asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--postgres", action="store_true")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(Postgres()).database() if given.postgres else f"sqlite:///{folder}/evornn.db"
        results = measure(url, QUICK if given.quick else FULL)
    report(results)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(url: str, size: Size) -> dict[str, Any]:
    """The others alone, then beside the greedy user."""
    with serving(url) as server, open_store(url) as store:
        tokens = [_token(server, f"user{k}") for k in range(USERS)]
        greedy = _token(server, "greedy")
        server.post("/api/v1/quotas", json={"owner": "greedy", "queued": -1})
        server.post("/api/v1/jobs", json={**SPEC, "seeds": 20})
        asyncio.run(load(server, tokens, min(10.0, size.seconds)))
        quiet, before = asyncio.run(load(server, tokens, size.seconds / 3)), memory(server)
        slots, over = Slots(), threading.Event()
        worker = threading.Thread(target=slots.work, args=(store, over.is_set))
        worker.start()
        with attack(server.url, greedy, size) as harm:
            peak = Peak(server, over.is_set)
            crowded = asyncio.run(load(server, tokens, size.seconds))
        over.set()
        worker.join()
        peak.thread.join()
        others = [wait for owner, waits in slots.waits.items() if owner.startswith("user") for wait in waits]
        return {
            "database": "SQLite" if store.is_sqlite else "PostgreSQL",
            "alone": _figures(quiet),
            "beside": _figures(crowded),
            "greedy": {name: dict(count) for name, count in harm.items()},
            "claims": {"greedy": slots.claims["greedy"], "others": slots.claims.total() - slots.claims["greedy"]},
            "locked": slots.outages,
            "waits": {
                "jobs": len(others),
                "median": float(np.median(others or [0])),
                "largest": max(others, default=0.0),
            },
            "memory_mb": {"before": before / 2**20, "largest": peak.bytes / 2**20, "after": memory(server) / 2**20},
            "cores": os.cpu_count(),
            "other_load": os.getloadavg()[0],
        }


class Peak:
    """The largest memory of the server, watched until it is over."""

    def __init__(self, server: Server, is_over: Callable[[], bool]) -> None:
        self.bytes = 0
        self.thread = threading.Thread(target=self._watch, args=(server, is_over))
        self.thread.start()

    def _watch(self, server: Server, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.bytes = max(self.bytes, memory(server))
            time.sleep(0.5)


async def load(server: Server, tokens: list[str], seconds: float) -> Answers:
    """Requests of all users, a second apart, each counted from when it should have begun."""
    answers, rng, tasks = Answers(), random.Random(0), []
    async with httpx.AsyncClient(base_url=server.url, timeout=120, trust_env=False) as client:
        start = time.perf_counter()
        for k in range(int(seconds / PAUSE * len(tokens))):
            due = start + k * PAUSE / len(tokens)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            _, method, path, body = rng.choices(MIX, [share for share, *_ in MIX])[0]
            user = WithToken(client, tokens[k % len(tokens)])
            tasks.append(asyncio.create_task(one(user, method, path, body, due, answers)))
        await asyncio.gather(*tasks)
    return answers


class WithToken(httpx.AsyncClient):
    """The client on behalf of a user."""

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._shared, self._token = client, token

    async def request(self, *arguments: Any, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        return await self._shared.request(*arguments, headers=headers, **more)


@contextmanager
def attack(url: str, token: str, size: Size) -> Iterator[dict[str, Counter[str]]]:
    """Three large specs, slow connections and streams, from a process of their own, until the end of the block. Yields
    what they got, which is known after the block."""
    got: dict[str, Counter[str]] = {}
    over, answers = SPAWN.Event(), SPAWN.Queue()
    process = SPAWN.Process(target=_attack, args=(url, token, size, over, answers))
    process.start()
    try:
        yield got
    finally:
        over.set()
        got.update(answers.get())
        process.join()


def _attack(url: str, token: str, size: Size, over: Any, answers: Any) -> None:
    """The process of the greedy user. It ends once its specs are answered."""
    os.nice(10)  # it stands for another machine: the server's cores are not its own
    harm: dict[str, Counter[str]] = {name: Counter() for name in ("specs", "slow", "streams")}
    threads = [
        *(threading.Thread(target=_submit, args=(url, token, size, harm["specs"])) for _ in range(3)),
        threading.Thread(target=_hold_slow, args=(url, size.slow, over, harm["slow"])),
        threading.Thread(target=lambda: asyncio.run(_hold_streams(url, token, size.streams, over, harm["streams"]))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(harm)


def _submit(url: str, token: str, size: Size, statuses: Counter[str]) -> None:
    begin = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(
        f"{url}/api/v1/jobs", json={**SPEC, "seeds": size.runs}, headers=headers, timeout=900, trust_env=False
    )
    statuses[f"{answer.status_code} in {time.monotonic() - begin:.0f} s"] += 1


def _hold_slow(url: str, count: int, over: Any, closed: Counter[str]) -> None:
    """Keep so many connections open that never finish their heads; those that are closed are opened again."""
    address = (url.rpartition("/")[2].partition(":")[0], int(url.rpartition(":")[2]))
    held: list[socket.socket] = []
    while not over.is_set():
        for connection in list(held):
            with suppress(BlockingIOError):
                with suppress(ConnectionResetError):
                    connection.recv(1000)
                closed["closed by the server"] += 1
                connection.close()
                held.remove(connection)
        while len(held) < count:
            held.append(socket.create_connection(address))
            held[-1].sendall(b"GET /api/v1/jobs HTTP/1.1\r\nhost: local")
            held[-1].setblocking(False)
        time.sleep(0.2)
    for connection in held:
        connection.close()


async def _hold_streams(url: str, token: str, count: int, over: Any, statuses: Counter[str]) -> None:
    """Open so many streams and keep those that are granted."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600, trust_env=False, limits=limits) as c:

        async def hold() -> None:
            async with c.stream("GET", "/api/v1/jobs/1/events") as answer:
                statuses[str(answer.status_code)] += 1
                while answer.status_code == 200 and not over.is_set():
                    await asyncio.sleep(0.5)

        await asyncio.gather(*(hold() for _ in range(count)), return_exceptions=True)


def _token(server: Server, name: str) -> str:
    return str(server.post("/api/v1/tokens", json={"name": name}).json()["token"])


def _figures(answers: Answers) -> dict[str, Any]:
    by_path = {path.partition("?")[0]: round(answers.percentile(0.99, path), 3) for path in answers.seconds}
    return {
        "requests": sum(answers.statuses.values()),
        "statuses": dict(answers.statuses),
        **{f"p{share}": answers.percentile(share / 100) for share in (50, 99, 100)},
        "p99_by_path": by_path,
    }


def report(results: dict[str, Any]) -> None:
    """For people."""
    print(f"{results['database']}, {results['cores']} cores, load {results['other_load']:.1f}")
    for name in ("alone", "beside"):
        one_of = results[name]
        times = ", ".join(f"p{share} {1000 * one_of[f'p{share}']:.0f} ms" for share in (50, 99, 100))
        print(f"the others {name}: {one_of['requests']} requests, {one_of['statuses']}, {times}")
    print(f"the greedy user: {results['greedy']}")
    print(f"claims: {results['claims']}; first run of an ordinary job after: {results['waits']}")
    print("memory: " + ", ".join(f"{name} {size:.0f} MB" for name, size in results["memory_mb"].items()))
    failed = [status for status in results["beside"]["statuses"] if status not in ("2xx", "4xx")]
    for met, what in (
        (results["beside"]["p99"] < P99, f"p99 below {1000 * P99:.0f} ms"),
        (not failed, "no 5xx"),
        (results["waits"]["largest"] < SHARE, f"first run of every job within {SHARE:.0f} s"),
    ):
        print("met   " if met else "missed", what)


RESULT = Result(np.zeros(10, np.float32), 0.3, 0.2, 0.25, 1000, 100, 10, 2.0, "budget", {}, environment={"python": "3"})


if __name__ == "__main__":
    main()
