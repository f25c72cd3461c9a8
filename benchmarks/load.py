"""Mixed requests at a steady rate against a real server: how long they take, how they are answered, and whether the
server grows. `python -m benchmarks.load [--quick] [--json FILE]`"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

import evornn
from tests.support.serving import Server, serving

RATE = 50.0  # requests per second
SECONDS = 300.0
SPEC: dict[str, Any] = {
    "name": "load",
    "tasks": [{"kind": "adding", "length": 10, "train": 64, "valid": 32, "test": 32}],
    "networks": [{"kind": "lstm", "units": 4}],
    "trainers": [{"kind": "snes", "population": 8}, {"kind": "adam"}],
    "seeds": 5,
    "budget": {"steps": 100_000, "marks": 100},
}
SELECT = {"sql": "SELECT network, trainer, median_test_loss FROM leaderboard ORDER BY place"}
MIX: tuple[tuple[float, str, str, Any], ...] = (  # share, method, path, body
    (20, "GET", "/api/v1/jobs/1", None),
    (15, "GET", "/api/v1/runs?job=1&limit=100", None),
    (15, "GET", "/api/v1/runs/1/metrics", None),
    (10, "GET", "/api/v1/runs/2", None),
    (10, "GET", "/api/v1/jobs?limit=50", None),
    (10, "GET", "/api/v1/jobs/1/events", None),
    (5, "GET", "/api/v1/runs/3/result", None),
    (5, "GET", "/healthz", None),
    (3, "POST", "/api/v1/query", SELECT),
    (2, "GET", "/api/v1/workers", None),
    (2, "POST", "/api/v1/jobs", {**SPEC, "seeds": 1}),
    (1, "GET", "/metrics", None),
    (1, "GET", "/api/v1/runs/1/model", None),
    (1, "GET", "/api/v1/compare?job=1", None),
)
P99, GROWTH = 0.300, 20  # aims: seconds, MB


@dataclass
class Answers:
    """What came back."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float, path: str | None = None) -> float:
        """Seconds that so many requests stayed below."""
        latencies = sorted(self.seconds[path] if path else [s for times in self.seconds.values() for s in times])
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))]


def main() -> None:
    """Print figures and aims, and write them to a file if asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="ten seconds")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/evornn.db"
        evornn.run(SPEC, store=store, workers=0).close()
        with serving(store) as server:
            results = measure(server, 10.0 if given.quick else SECONDS)
    report(results)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(server: Server, seconds: float) -> dict[str, Any]:
    """Warm up, then load; memory is that of the server and its helper."""
    asyncio.run(load(server, min(20.0, seconds)))
    before = memory(server)
    answers = asyncio.run(load(server, seconds))
    growth = memory(server) - before
    by_path = {path.partition("?")[0]: answers.percentile(0.99, path) for path in answers.seconds}
    return {
        "rate": RATE,
        "seconds": seconds,
        "requests": sum(answers.statuses.values()),
        "statuses": dict(answers.statuses),
        "p50": answers.percentile(0.5),
        "p99": answers.percentile(0.99),
        "largest": answers.percentile(1.0),
        "p99_by_path": by_path,
        "memory_mb": before / 2**20,
        "growth_mb": growth / 2**20,
        "cores": os.cpu_count(),
        "other_load": os.getloadavg()[0],
    }


async def load(server: Server, seconds: float) -> Answers:
    """Requests begin at fixed times, however long the earlier ones take; each counts from when it should have begun."""
    answers, rng, tasks = Answers(), random.Random(0), []
    headers = {"Authorization": f"Bearer {server.token}"}
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as client:
        start = time.perf_counter()
        for k in range(int(seconds * RATE)):
            due = start + k / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            _, method, path, body = rng.choices(MIX, [share for share, *_ in MIX])[0]
            tasks.append(asyncio.create_task(one(client, method, path, body, due, answers)))
        await asyncio.gather(*tasks)
    return answers


async def one(client: httpx.AsyncClient, method: str, path: str, body: Any, due: float, answers: Answers) -> None:
    """One request, counted."""
    try:
        status = f"{(await client.request(method, path, json=body)).status_code // 100}xx"
    except httpx.TransportError as error:
        status = type(error).__name__
    answers.statuses[status] += 1
    answers.seconds[path].append(time.perf_counter() - due)


def memory(server: Server) -> int:
    """Bytes of the server's process and those below it."""
    process, total = psutil.Process(server.process.pid), 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # that of a query, which has just ended
            total += each.memory_info().rss
    return total


def report(results: dict[str, Any]) -> None:
    """For people."""
    print(f"{results['requests']} requests, {RATE:.0f} a second, {results['cores']} cores: {results['statuses']}")
    print(
        f"p50 {1000 * results['p50']:.0f} ms, p99 {1000 * results['p99']:.0f} ms, "
        f"max {1000 * results['largest']:.0f} ms"
    )
    for path, seconds in sorted(results["p99_by_path"].items(), key=lambda item: -item[1]):
        print(f"  p99 {1000 * seconds:6.0f} ms  {path}")
    print(f"memory {results['memory_mb']:.0f} MB, grown by {results['growth_mb']:.1f} MB")
    good = not [status for status in results["statuses"] if status not in ("2xx", "4xx")]
    for met, what in (
        (results["p99"] < P99, f"p99 below {1000 * P99:.0f} ms"),
        (good, "no 5xx"),
        (results["growth_mb"] < GROWTH, f"growth below {GROWTH} MB"),
    ):
        print("met   " if met else "missed", what)


if __name__ == "__main__":
    sys.exit(main())
