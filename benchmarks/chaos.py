"""Does everything end well whatever dies? A Ray cluster of three nodes and a real PostgreSQL on this machine, two
dispatchers, a server that takes the jobs, and SIGKILL at random moments, until all planned deaths have happened and all
jobs have ended.

    python -m benchmarks.chaos [--quick] [--json FILE] [--seed N]

Then every run must have succeeded, once, with the bits of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.outcomes import SPEC, faults, outcome
from benchmarks.victims import Victims, has_ended
from evornn.errors import EvornnError
from evornn.library import connect
from evornn.library import run as run_undisturbed
from evornn.store.errors import StoreError
from evornn.store.store import Store, open_store
from tests.support.postgres import Postgres

DEATHS = {"worker": 20, "node": 10, "dispatcher": 10, "server": 10, "head": 3, "database": 5}
QUICK = {"worker": 3, "node": 2, "dispatcher": 2, "server": 2, "head": 1, "database": 1}
PAUSE = (3.0, 10.0)  # seconds between two deaths
SUBMITTING = 1.0  # seconds after a job was handed to the server within which that is killed
AWAY = (0.5, 8.0)  # seconds until the database is started again
WAITING = 8  # open runs below which the next job is submitted, as long as there are deaths to come
PATIENCE = 600.0  # seconds without a run that ends, then something hangs


def main() -> None:
    """Run it, print what it cost, exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few deaths")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    options = parser.parse_args()
    console = Console()
    console.print("an undisturbed run of the same experiment first …")
    expected, alone = measure_undisturbed()
    with Postgres() as postgres, open_store(postgres.database()) as store, Victims(nodes=3) as victims:
        chaos = Chaos(store, postgres, victims, QUICK if options.quick else DEATHS, options.seed)
        with Live(get_renderable=chaos.table, refresh_per_second=2, console=console):
            chaos.run()
        result = {"seed": options.seed, "undisturbed_seconds": alone, **chaos.result(expected)}
        said = victims.logs()
    console.print_json(json.dumps(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    if result["wrong"]:
        print(said, file=sys.stderr)
        sys.exit(1)


def measure_undisturbed() -> tuple[dict[str, Any], float]:
    """What the experiment finds when nothing happens, and how many seconds it takes in one process."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with run_undisturbed(SPEC, store=f"sqlite:///{folder}/evornn.db", workers=0) as results:
            return outcome(results.store, 1), time.perf_counter() - start


class Chaos:
    """Submits, kills, mends and watches, in one thread."""

    def __init__(self, store: Store, postgres: Postgres, victims: Victims, deaths: dict[str, int], seed: int) -> None:
        self.store, self.postgres, self.victims, self.deaths = store, postgres, victims, deaths
        self.random, self.died = random.Random(seed), Counter[str]()
        self.asked, self.jobs = 0, list[int]()  # submitted, and the numbers of those that the server has confirmed
        self.server = ""
        self.plan = [kind for kind, count in deaths.items() for _ in range(count)]
        self.random.shuffle(self.plan)
        self.states: Counter[str] = Counter()
        self.start = self.progress_at = self.next_at = self.back_at = time.monotonic()

    def run(self) -> None:
        url = self.store.url.render_as_string(hide_password=False)
        self.victims.dispatch(2, url)
        self.server = self.victims.serve(url)
        while self.plan or self.asked > len(self.jobs) or self.states["succeeded"] < sum(self.states.values()):
            self.victims.mend()
            self._with_database(self._look)
            if self.plan and self.asked == len(self.jobs) and self._open() < WAITING:
                self._submit()
            if self.plan and time.monotonic() >= self.next_at and self._kill(self.plan[-1]):
                self.died[self.plan.pop()] += 1
                self.next_at = time.monotonic() + self.random.uniform(*PAUSE)
            if time.monotonic() - self.progress_at > PATIENCE:
                raise TimeoutError(f"no run has ended for {PATIENCE:.0f} s:\n{self.victims.logs()}")
            time.sleep(0.2)

    def result(self, expected: dict[str, Any]) -> dict[str, Any]:
        """What happened, what it cost, and what is wrong: nothing, if all is well."""
        runs = self.store.runs()
        wrong = [fault for job in self.jobs for fault in faults(self.store, job, expected)]
        if len(runs) != len(self.jobs) * len(expected):
            wrong.append(f"{len(runs)} runs of {len(self.jobs)} jobs")
        if sorted(job.id for job in self.store.jobs()) != sorted(self.jobs) or len(self.jobs) != self.asked:
            wrong.append(f"{self.asked} jobs were submitted, {len(self.jobs)} confirmed: {self.jobs}")
        return {
            "killed": dict(self.died),
            "jobs": len(self.jobs),
            "runs": len(runs),
            "wrong": wrong,
            "seconds": round(time.monotonic() - self.start, 1),
            "restarts": sum(run.lease for run in runs) - len(runs),
            "network_steps": sum(run.network_steps or 0 for run in runs),
        }

    def table(self) -> Table:
        table = Table(title=f"{time.monotonic() - self.start:.0f} s, {len(self.jobs)} jobs", box=None)
        for name in ("killed", "", "runs", ""):
            table.add_column(name)
        kinds, states = list(self.deaths), sorted(self.states)
        for k in range(max(len(kinds), len(states))):
            left = (kinds[k], f"{self.died[kinds[k]]}/{self.deaths[kinds[k]]}") if k < len(kinds) else ("", "")
            right = (states[k], str(self.states[states[k]])) if k < len(states) else ("", "")
            table.add_row(*left, *right)
        return table

    def _open(self) -> int:
        return sum(count for state, count in self.states.items() if state in ("queued", "running"))

    def _submit(self) -> None:
        """By a thread of its own, which tries until the server has confirmed it: the key sees to it that it is once."""
        self.asked += 1
        threading.Thread(target=self._ask, args=(f"job {self.asked}",), daemon=True).start()

    def _ask(self, key: str) -> None:
        while True:
            try:
                with connect(self.server, self.victims.secret) as server:
                    self.jobs.append(server.service.submit(SPEC, idempotency_key=key))
                return
            except EvornnError:
                time.sleep(0.2)

    def _look(self) -> None:
        states = Counter(run.state for run in self.store.runs())
        if states["succeeded"] > self.states["succeeded"]:
            self.progress_at = time.monotonic()
        self.states = states

    def _with_database(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreError:  # it was killed a moment ago
            if time.monotonic() >= self.back_at:
                self.postgres.start()

    def _kill(self, kind: str) -> bool:
        """Whether there was one to be killed."""
        if kind == "database":
            self.postgres.kill()
            self.back_at = time.monotonic() + self.random.uniform(*AWAY)
        elif kind == "head":
            self.victims.kill_node(0)
        elif kind == "worker":
            return self._kill_worker()
        elif kind == "server":
            self._submit()
            time.sleep(self.random.uniform(0, SUBMITTING))
            self.victims.kill_server()
        else:
            those = self.victims.nodes if kind == "node" else self.victims.dispatchers
            alive = [k for k, process in enumerate(those) if not has_ended(process) and (kind, k) != ("node", 0)]
            if not alive:
                return False
            chosen = self.random.choice(alive)
            self.victims.kill_node(chosen) if kind == "node" else self.victims.kill_dispatcher(chosen)
        return True

    def _kill_worker(self) -> bool:
        workers = self.victims.workers()
        if workers:
            self.random.choice(workers).kill()
        return bool(workers)


if __name__ == "__main__":
    main()
