"""Does everything end well whatever happens? On SQLite and on PostgreSQL: a Ray cluster of three nodes on this machine,
two dispatchers, a server that takes the jobs, and disturbances at random moments, until all that were planned have
happened and all jobs have ended.

    python -m benchmarks.chaos [--quick] [--store sqlite] [--json FILE] [--seed N]

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
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.disturbances import Disturbances
from benchmarks.outcomes import SPEC, faults, outcome
from benchmarks.sites import SITES, Site
from benchmarks.victims import Victims
from evornn.errors import EvornnError
from evornn.library import connect
from evornn.library import run as run_undisturbed
from evornn.store.errors import StoreError
from evornn.store.store import Store, open_store

PLAN = {
    **{"worker": 22, "workers": 12, "node": 10, "dispatcher": 12, "head": 5, "server": 10, "cancel": 30, "zombie": 7},
    **{"disk": 14, "database": 8, "network": 14},  # the last two on PostgreSQL only
}
QUICK = dict.fromkeys(PLAN, 1)
PAUSE = (1.0, 4.0)  # seconds between two disturbances
WAITING = 8  # open runs below which the next job is submitted, as long as there are disturbances to come
REPORT = 30.0  # seconds between two lines of progress
PATIENCE = 600.0  # seconds without progress, then something hangs


def main() -> None:
    """Run it, print what it cost, exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each disturbance once")
    parser.add_argument("--store", choices=SITES, help="one database only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    options = parser.parse_args()
    console = Console()
    console.print("an undisturbed run of the same experiment first …")
    expected, alone = measure_undisturbed()
    results = []
    for name in [options.store] if options.store else SITES:
        plan = QUICK if options.quick else PLAN
        results.append({"undisturbed_seconds": alone, **disturb(name, expected, plan, options.seed)})
        console.print_json(json.dumps(results[-1]))
        if options.json is not None:
            options.json.write_text(json.dumps(results, indent=1))
    if any(result["wrong"] for result in results):
        sys.exit(1)


def disturb(name: str, expected: dict[str, Any], plan: dict[str, int], seed: int) -> dict[str, Any]:
    """All disturbances of a plan on one database: what happened, and what is wrong with it."""
    with SITES[name]() as site, open_store(site.url) as store, Victims(nodes=3) as victims:
        chaos = Chaos(store, site, victims, plan, seed)
        chaos.run()
        result = {"store": name, "seed": seed, **chaos.result(expected)}
        if result["wrong"]:
            print(victims.logs(), file=sys.stderr)
    return result


def measure_undisturbed() -> tuple[dict[str, Any], float]:
    """What the experiment finds when nothing happens, and how many seconds it takes in one process."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with run_undisturbed(SPEC, store=f"sqlite:///{folder}/evornn.db", workers=0) as results:
            return outcome(results.store, 1), time.perf_counter() - start


class Chaos:
    """Submits, disturbs, mends and watches, in one thread."""

    def __init__(self, store: Store, site: Site, victims: Victims, plan: dict[str, int], seed: int) -> None:
        self.store, self.site, self.victims = store, site, victims
        self.random, self.happened = random.Random(seed), Counter[str]()
        self.disturbances = Disturbances(store, site, victims, self.random, self.submit)
        possible = [kind for kind in plan if self.disturbances.is_possible(kind)]
        self.plan = [kind for kind in possible for _ in range(plan[kind])]
        self.random.shuffle(self.plan)
        self.asked, self.jobs = 0, list[int]()  # submitted, and the numbers of those that the server has confirmed
        self.server = ""
        self.states, self.steps = Counter[str](), 0
        self.unrecovered: list[tuple[str, float]] = []  # what happened, and when, since the last progress
        self.recovery: dict[str, float] = {}  # kind → longest time until some run made progress again
        self.start = self.progress_at = self.next_at = self.report_at = time.monotonic()

    def run(self) -> None:
        """Until all has happened and all has ended."""
        self.victims.dispatch(2, self.site.dispatchers_url)
        self.server = self.victims.serve(self.site.url)
        while self.plan or not self._is_over():
            self.victims.mend()
            self.disturbances.repair()
            with suppress(StoreError):
                self._look()
            if self.plan and self.asked == len(self.jobs) and self._open() < WAITING:
                self.submit()
            if self.plan and time.monotonic() >= self.next_at and self._disturb(self.plan[-1]):
                self.happened[self.plan.pop()] += 1
                self.next_at = time.monotonic() + self.random.uniform(*PAUSE)
            self._report()
            if time.monotonic() - self.progress_at > PATIENCE:
                raise TimeoutError(f"no progress for {PATIENCE:.0f} s: {self.states}\n{self.victims.logs()}")
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
            "events": sum(self.happened.values()),
            "happened": dict(self.happened),
            "jobs": len(self.jobs),
            "runs": len(runs),
            "wrong": wrong,
            "seconds": round(time.monotonic() - self.start, 1),
            "restarts": sum(run.lease for run in runs) - len(runs),
            "longest_recovery": {kind: round(seconds, 1) for kind, seconds in sorted(self.recovery.items())},
        }

    def submit(self) -> None:
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

    def _report(self) -> None:
        """A line now and then."""
        if time.monotonic() >= self.report_at:
            self.report_at = time.monotonic() + REPORT
            done, seconds = sum(self.happened.values()), time.monotonic() - self.start
            print(f"{seconds:.0f} s: {done} of {done + len(self.plan)} events, runs {dict(self.states)}", flush=True)

    def _is_over(self) -> bool:
        ended = self.asked == len(self.jobs) and self.states["succeeded"] == sum(self.states.values())
        return ended and self.disturbances.are_over

    def _open(self) -> int:
        return sum(count for state, count in self.states.items() if state in ("queued", "running"))

    def _look(self) -> None:
        """Count the runs by state; after any progress, all that has happened is recovered from."""
        runs = self.store.runs()
        self.states = Counter(run.state for run in runs)
        steps = sum(run.network_steps or 0 for run in runs)
        if steps > self.steps:
            self.steps, self.progress_at = steps, time.monotonic()
            for kind, since in self.unrecovered:
                self.recovery[kind] = max(self.recovery.get(kind, 0.0), self.progress_at - since)
            self.unrecovered = []

    def _disturb(self, kind: str) -> bool:
        """Whether there was something to disturb."""
        self.unrecovered.append((kind, time.monotonic()))
        if not self.disturbances.apply(kind):
            self.unrecovered.pop()
            return False
        return True


if __name__ == "__main__":
    main()
