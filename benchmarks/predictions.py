"""Predictions over HTTP at a steady rate, and empty requests to the same server in turns with them: how long both take.

python -m benchmarks.predictions [--quick] [--rate N] [--seconds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import evornn
from benchmarks.serving import FORECAST, model_of
from tests.support.serving import Server, serving

RATE, SECONDS, BLOCK = 100.0, 60.0, 5.0  # requests per second; seconds of each kind in all, and in one go
AIM = 0.020  # seconds, of 99 % of all predictions
ROWS = {"load": [50.0 + k % 17 for k in range(24)]}  # one forecast, from a window of 24 rows
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "prediction": ("POST", "/api/v1/models/load@production/predict", ROWS),
    "empty request": ("GET", "/healthz", None),
    "description": ("GET", "/api/v1/models/load@production", None),  # token and database, no computation
}


async def ask(client: httpx.AsyncClient, name: str, times: dict[str, list[float]], statuses: Counter[str]) -> None:
    """One request."""
    method, path, body = REQUESTS[name]
    start = time.perf_counter()
    answer = await client.request(method, path, json=body)
    times[name].append(time.perf_counter() - start)
    statuses[f"{name} {answer.status_code}"] += 1


async def measure(server: Server, rate: float, seconds: float) -> tuple[dict[str, list[float]], Counter[str]]:
    """Requests that are sent when they are due, whether earlier ones are answered or not; kinds in turns."""
    times, statuses = defaultdict[str, list[float]](list), Counter[str]()
    headers, limits = {"Authorization": f"Bearer {server.token}"}, httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, limits=limits, timeout=60) as client:
        for name in REQUESTS:  # the helper process starts, the model is read
            for _ in range(10):
                await ask(client, name, defaultdict(list), Counter())
        for _ in range(max(1, round(seconds / BLOCK))):
            for name in REQUESTS:
                await at_rate(client, name, rate, min(BLOCK, seconds), times, statuses)
    return times, statuses


async def at_rate(
    client: httpx.AsyncClient,
    name: str,
    rate: float,
    seconds: float,
    times: dict[str, list[float]],
    statuses: Counter[str],
) -> None:
    """One block."""
    begin, open_requests = time.perf_counter(), list[asyncio.Task[None]]()
    for k in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + k / rate - time.perf_counter()))
        open_requests.append(asyncio.create_task(ask(client, name, times, statuses)))
    await asyncio.gather(*open_requests)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 seconds")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url, file = f"sqlite:///{folder}/evornn.db", Path(folder) / "load.safetensors"
        model_of("gru", FORECAST).save(file)
        with evornn.open(url, create=True) as results:
            results.register_model("load", file)
            results.store.set_model_alias("load", "production")
        load = os.getloadavg()[0]
        with serving(url) as server:
            times, statuses = asyncio.run(measure(server, options.rate, BLOCK if options.quick else options.seconds))
    found = {
        name: dict(zip(("p50", "p90", "p99"), np.percentile(t, (50, 90, 99)), strict=True)) for name, t in times.items()
    }
    print(f"{options.rate:g} requests/s in turns, {os.cpu_count()} CPUs, load {load:.1f} before: {dict(statuses)}")
    empty = found["empty request"]
    for name, part in found.items():
        shown = ", ".join(f"{q} {1e3 * part[q]:.1f} ms ({part[q] / empty[q]:.1f} ×)" for q in part)
        print(f"  {name:14} {shown}")
    held = found["prediction"]["p99"] <= AIM
    print(f"aim: 99 % of predictions within {1e3 * AIM:g} ms: {'held' if held else 'missed'}")
    if options.json is not None:
        options.json.write_text(json.dumps({"load": load, "statuses": statuses, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
