"""The dashboard under load: its first page, the grid over many runs, and what many open pages of live runs cost.

`python -m benchmarks.dashboard [--quick] [--json FILE]`. Pages are asked for as browsers do it, over HTTP. It ends
with an error where a page lacks a point of its run, or has one twice.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urljoin

import httpx
from sqlalchemy import text

from benchmarks.live_pages import watch
from benchmarks.queue import FRAGMENTS
from evornn.store.records import NewRun
from evornn.store.store import Store, open_store
from tests.support.serving import Server, serving

LIMITS = {"first_page_mb": 3.0, "filter_s": 0.3}
ENDED = """UPDATE runs SET state = CASE WHEN id % 50 = 0 THEN 'failed' ELSE 'succeeded' END, mark = 100, seconds = 1,
network_steps = 1000, test_loss = 1.0 / id, champion_valid = 1.0 / id WHERE state = 'queued'"""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    jobs: int  # of 1,000 runs
    repeats: int
    pages: int  # open at once
    seconds: float


FULL = Size(jobs=200, repeats=20, pages=30, seconds=600.0)
QUICK = Size(jobs=5, repeats=3, pages=5, seconds=5.0)


def main() -> None:
    """Print figures and aims, and write them to a file if asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--seconds", type=float, help="that pages are open")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    size = QUICK if given.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/evornn.db"
        with open_store(url) as store:
            fill(store, size)
        with open_store(url) as store, serving(url) as server:
            results = measure(server, size)
            results["live"] = watch(store, server, log_in, size.pages, given.seconds or size.seconds)
    live = {f"live {name}": value for name, value in results["live"].items()}
    for name, value in ({**results, **live}).items():
        if name == "live":
            continue
        print(f"{name:24} {value}{f', wanted {LIMITS[name]}' if name in LIMITS else ''}")
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def fill(store: Store, size: Size) -> None:
    """Jobs by the front door, what runs would have written by SQL; the newest job is still to be computed."""
    for job in range(size.jobs):
        with store.write_transaction() as connection:
            connection.execute(text(ENDED))
        store.submit({"name": f"experiment {job % 20}", "tasks": []}, [new_run(k) for k in range(1000)])


def new_run(k: int) -> NewRun:
    return NewRun(f"task {k % 4}", "elman", f"trainer {k % 5}", FRAGMENTS, k, {"steps": 1000}, k, 200)


def measure(server: Server, size: Size) -> dict[str, Any]:
    """The first page, and the grid."""
    with closing(log_in(server)) as client:
        page, begin = client.get("/ui/"), time.perf_counter()
        files = re.findall(r'(?:src|href)="(/ui/[^"]+)"', page.text)
        answers = [page, *(client.get(urljoin(server.url, file)) for file in files)]
        loaded, sent = time.perf_counter() - begin, sum(int(a.num_bytes_downloaded) for a in answers)
        ask = rows_callback(client)
        times = {
            name: [request_seconds(client, ask, model) for _ in range(size.repeats)] for name, model in FILTERS.items()
        }
    return {
        "runs": 1000 * size.jobs,
        "first_page_mb": round(sent / 1e6, 2),
        "first_page_s": round(loaded, 2),
        "filter_s": round(max(median(spent) for spent in times.values()), 3),
        "filters": {name: [round(median(spent), 3), round(max(spent), 3)] for name, spent in times.items()},
        "cores": os.cpu_count(),
        "other_load": os.getloadavg()[0],
    }


FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "state": {"state": {"filter": "failed"}},
    "task": {"task": {"filter": "task 3"}},
    "trainer": {"trainer": {"filter": "trainer 1"}},
    "experiment": {"experiment": {"filter": "experiment 7"}},
    "job": {"job": {"filter": "3"}},
}


def log_in(server: Server) -> httpx.Client:
    client = httpx.Client(base_url=server.url, timeout=60, headers={"Origin": server.url}, follow_redirects=True)
    client.post("/ui/login", data={"token": server.token}).raise_for_status()
    return client


def rows_callback(client: httpx.Client) -> dict[str, Any]:
    """The request for a part of the grid, as the page sends it."""
    listed = client.get("/ui/_dash-dependencies").json()
    wanted = next(one for one in listed if one["inputs"] == [{"id": "runs", "property": "getRowsRequest"}])
    outputs = [part.rpartition(".") for part in wanted["output"].strip(".").split("...")]
    return {
        "output": wanted["output"],
        "outputs": [{"id": name, "property": what} for name, _, what in outputs],
        "changedPropIds": ["runs.getRowsRequest"],
        "inputs": [{"id": "runs", "property": "getRowsRequest"}],
    }


def request_rows(client: httpx.Client, callback: dict[str, Any], model: dict[str, Any]) -> httpx.Response:
    value = {"startRow": 0, "endRow": 100, "filterModel": model, "sortModel": []}
    body = {**callback, "inputs": [{**callback["inputs"][0], "value": value}]}
    return client.post("/ui/_dash-update-component", json=body).raise_for_status()


def request_seconds(client: httpx.Client, callback: dict[str, Any], model: dict[str, Any]) -> float:
    begin = time.perf_counter()
    request_rows(client, callback, model)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
