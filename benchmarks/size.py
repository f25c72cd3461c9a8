"""A large store, on SQLite and PostgreSQL: how long lists, curves and comparisons take among ten million rows.

`python -m benchmarks.size [--quick] [--delete] [--json FILE]`: with `--delete`, how long the deletion of a job of
10,000 runs takes, and what readers and writers notice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np
from sqlalchemy import text

from benchmarks.queue import FRAGMENTS, databases
from evornn.store.records import NewRun
from evornn.store.store import Store, open_store

TASKS, TRAINERS, SEEDS = 4, 5, 10  # runs of a job: 200
EXPERIMENTS = 20
LIMITS = {
    "deletion of a job of 10,000 runs": 10.0,
    "list of runs": 0.100,
    "curve": 0.050,
    "comparison of 200 runs": 1.0,
}  # seconds


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    jobs: int
    marks: int  # rows of each run
    repeats: int
    large: int = 0  # runs of the first job, which is deleted


FULL = Size(jobs=500, marks=100, repeats=30)
QUICK = Size(jobs=5, marks=20, repeats=3)
DELETE = Size(jobs=950, marks=50, repeats=30, large=10_000)  # 200,000 runs
QUICK_DELETE = Size(jobs=5, marks=20, repeats=3, large=1000)


def main() -> None:
    """Print the times, and write them to a file if asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--delete", action="store_true")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    full, quick = (DELETE, QUICK_DELETE) if given.delete else (FULL, QUICK)
    size = quick if given.quick else full
    ask = measure_deletion if given.delete else measure
    results: dict[str, Any] = {"cpus": os.cpu_count(), "machine": platform.machine()}
    for name, url in databases():
        with open_store(url) as store:
            results[name] = {**fill(store, size), "seconds": ask(store, size)}
        _show(name, results[name])
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def fill(store: Store, size: Size) -> dict[str, Any]:
    """Jobs by the front door, what runs would have written by SQL: rows, seconds, bytes."""
    begin = perf_counter()
    if size.large:
        runs = [replace(new_runs()[0], seed=k, position=k) for k in range(size.large)]
        store.submit({"name": "large", "tasks": []}, runs, owner="owner 0")
    for job in range(size.jobs):
        store.submit({"name": f"experiment {job % EXPERIMENTS}", "tasks": []}, new_runs(), owner=f"owner {job % 7}")
    with store.write_transaction() as connection:
        if not store.is_sqlite:
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # no look-up for each foreign key
        for statement in (ENDED, CURVES, NAMES, NUMBERS):
            connection.execute(text(statement), {"marks": size.marks} if ":marks" in statement else {})
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not store.is_sqlite:
            connection.execute(text("VACUUM ANALYZE"))  # what PostgreSQL does by itself in its own time
        rows = connection.execute(text("SELECT count(*) FROM progress")).scalar_one()
        used = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        used = used if store.is_sqlite else "SELECT pg_database_size(current_database())"
        size_in_bytes = int(connection.execute(text(used)).scalar_one())
    return {
        "rows": int(rows),
        "gigabytes": round(size_in_bytes / 1e9, 2),
        "filled_in": round(perf_counter() - begin, 1),
    }


def new_runs() -> list[NewRun]:
    every = product(range(TASKS), range(TRAINERS), range(SEEDS))
    return [
        NewRun(f"task {task}", "elman", f"trainer {trainer}", FRAGMENTS, seed, {"steps": 1000}, position, 200)
        for position, (task, trainer, seed) in enumerate(every)
    ]


def measure(store: Store, size: Size) -> dict[str, dict[str, float]]:
    """Name → median and largest of the repeats, each on another job or run."""
    random = np.random.default_rng(1)
    jobs = [job.id for job in store.jobs()]
    last = store.runs(order="-id", limit=1)[0].id
    with_metrics = size.jobs // 5
    asks: dict[str, Callable[[int, int], object]] = {
        "list of runs: the newest 100": lambda job, run: store.runs(order="-id", limit=100),
        "list of runs: of a job": lambda job, run: store.runs(job=job),
        "list of runs: 100 behind one": lambda job, run: store.runs(after=run, limit=100),
        "list of runs: failed": lambda job, run: store.runs(state="failed", limit=100),
        "list of runs: best of an experiment": lambda job, run: store.runs(
            experiment=f"experiment {job % EXPERIMENTS}", order="test_loss", limit=100
        ),
        "list of jobs: the newest 50": lambda job, run: store.jobs(limit=50),
        "list of jobs: running": lambda job, run: store.jobs(state="running", limit=50),
        "number of failed runs": lambda job, run: store.count_runs(state="failed"),
        "curve": lambda job, run: store.curve(run),
        "comparison of 200 runs": lambda job, run: _comparison(store, job % with_metrics + 1),
        "SQL: leaderboard of a job": lambda job, run: store.query(f"SELECT * FROM leaderboard WHERE job = {job}"),
        "SQL: comparisons of a job": lambda job, run: store.query(f"SELECT * FROM comparisons WHERE job = {job}"),
        "SQL: a learning curve": lambda job, run: store.query(f"SELECT * FROM learning_curves WHERE run = {run}"),
        "SQL: 1 + 1": lambda job, run: store.query("SELECT 1 + 1"),
    }
    times = {}
    for name, ask in asks.items():
        chosen = [(int(random.choice(jobs)), int(random.integers(1, last))) for _ in range(size.repeats)]
        spent = [_seconds(ask, *which) for which in chosen]
        times[name] = {"median": round(median(spent), 4), "largest": round(max(spent), 4)}
    return times


def measure_deletion(store: Store, size: Size) -> dict[str, dict[str, float]]:
    """The deletion of the first job; the times of readers and writers alone, and while it goes on."""
    asks: dict[str, Callable[[], object]] = {
        "readers: the newest 100 runs": lambda: store.runs(order="-id", limit=100),
        "writers: a heartbeat": lambda: store.heartbeat("worker", 8, 0),
    }

    def once(name: str) -> float:
        return _seconds(lambda *_: asks[name]() or True, 0, 0)

    alone = {name: [once(name) for _ in range(size.repeats)] for name in asks}
    beside: dict[str, list[float]] = {name: [] for name in asks}
    over = Event()

    def repeat(name: str) -> None:
        """Until the deletion is over."""
        while not over.wait(0.02):
            beside[name].append(once(name))

    threads = [Thread(target=repeat, args=(name,)) for name in asks]
    for thread in threads:
        thread.start()
    spent = _seconds(lambda job, _: store.delete(job), 1, 0)
    over.set()
    for thread in threads:
        thread.join()
    times = {
        f"{name}, {when}": spans
        for when, each in (("alone", alone), ("beside", beside))
        for name, spans in each.items()
    }
    times[f"deletion of a job of {size.large:,} runs"] = [spent]
    return {name: {"median": round(median(t), 4), "largest": round(max(t), 4)} for name, t in times.items() if t}


def _comparison(store: Store, job: int) -> object:
    """What the comparison reads: service/comparing.py."""
    return store.spec(job), store.curves([run.id for run in store.runs(job=job)])


def _seconds(ask: Callable[[int, int], object], job: int, run: int) -> float:
    begin = perf_counter()
    assert ask(job, run) is not None
    return perf_counter() - begin


def _show(name: str, results: dict[str, Any]) -> None:
    print(
        f"{name}: {results['rows']:,} rows of progress, {results['gigabytes']} GB, filled in {results['filled_in']} s"
    )
    for what, spent in results["seconds"].items():
        limit = LIMITS.get(what.partition(":")[0])
        met = "" if limit is None else f", wanted {limit} s: {'met' if spent['largest'] < limit else 'NOT MET'}"
        print(f"  {what:36} median {spent['median']:.4f} s, largest {spent['largest']:.4f} s{met}")


LOSS = "(id * 7919 % 1000) / 1000.0"
ENDED = f"""UPDATE runs SET lease = 1, lease_owner = 'worker', started = created, finished = created + 10, mark = 100,
    state = CASE WHEN id % 100 = 1 THEN 'failed' ELSE 'succeeded' END,
    network_steps = 100000, evaluations = 1000, updates = 100, best = {LOSS}, champion_valid = {LOSS},
    train_loss = {LOSS}, valid_loss = {LOSS}, test_loss = {LOSS}, seconds = 2.5, stopped_by = 'budget',
    solved = (id % 3 = 0), hits = '{{}}' WHERE id <= (SELECT max(id) - 50 FROM runs)"""
MARKS = "WITH RECURSIVE m(mark) AS (SELECT 1 UNION ALL SELECT mark + 1 FROM m WHERE mark < :marks)"
CURVES = f"""{MARKS} INSERT INTO progress (run_id, mark, network_steps, evaluations, updates, best, mean, median, q25,
    q75, valid, champion_valid, seconds)
    SELECT r.id, m.mark, 1000 * m.mark, 10 * m.mark, m.mark, 1.0 / m.mark, 1.5 / m.mark, 1.4 / m.mark, 1.2 / m.mark,
    1.8 / m.mark, 1.1 / m.mark, 1.1 / m.mark, 0.025 * m.mark FROM runs r CROSS JOIN m"""
NAMES = "INSERT INTO metric_keys (name) VALUES ('sigma')"
NUMBERS = """INSERT INTO metrics (run_id, mark, key_id, value)
    SELECT p.run_id, p.mark, k.id, 0.1 FROM progress p CROSS JOIN metric_keys k
    WHERE p.run_id <= (SELECT max(id) FROM runs) / 5 + 200"""


if __name__ == "__main__":
    main()
