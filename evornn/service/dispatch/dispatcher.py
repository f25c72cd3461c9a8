"""The dispatcher: claims runs from the store, gives them to an executor, and records what they say. Only it writes
results. Whoever dies, the lease ends and another goes on from the last checkpoint."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Protocol

from evornn.errors import EvornnError
from evornn.service.dispatch.active_run import Held
from evornn.service.dispatch.backoff import Clock, Outage, Pace
from evornn.service.dispatch.process_identity import is_dead, own_name
from evornn.service.executors.executor import Assignment, Attempt, Ended, Event, Executor, Said
from evornn.store.errors import Busy, Fenced, StoreError, Unreachable
from evornn.store.records import Claim, StoredRun
from evornn.store.store import Store
from evornn.training.oracle import Origin
from evornn.training.records import Update

WAIT = 0.2  # seconds for events, at most, while runs are under way
REPORT = 0.5  # seconds between two reports about all runs, in one transaction: what they said, and that they live
ASK = (0.2, 1.0)  # seconds until an empty queue is asked again: first, and at most
LOOK = 2.0  # seconds between two looks at the other dispatchers
FORCE = 4.0  # seconds until a run that was asked to stop is stopped by force
CALM = 3.0  # seconds after an outage in which nothing is claimed: other dispatchers must renew their leases first
CLAIMS = 64  # in a row; then runs have their say
ROWS = 5_000  # that a run may say while the database is away
CRASHES = 20  # of a run's machine, until it is taken to be the run that kills it
UNFINISHED = {"queued", "running", "cancelling"}


class Listener(Protocol):
    """Who watches: the command line's progress, a log."""

    def claimed(self, run: StoredRun) -> None: ...
    def updated(self, run: StoredRun, update: Update) -> None: ...
    def ended(self, run: StoredRun, state: str, reason: str) -> None: ...


class Dispatcher:
    """Works off a job, or whatever is queued.

    While the database can't be reached, runs go on and what they say is kept, for `patience` seconds.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        listener: Listener,
        owner: str | None = None,
        *,
        slots: int | None = None,
        patience: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.store, self.executor, self.listener, self.slots = store, executor, listener, slots
        self.owner = owner or own_name()
        self.held: dict[int, Held] = {}
        self.crashes: Counter[int] = Counter()
        self._clock, self._queue, self._outage = clock, Pace(clock, *ASK), Outage(clock, patience, CALM)
        self._report_at = self._look_at = 0.0
        self._done = self._stopping = False

    def work(self, job: int | None = None, until_empty: bool = True) -> None:
        """Work off a job, or all of them, until no run is open here or elsewhere, or until `stop`. Gives back what is
        under way then, also when interrupted. Raises StoreError."""
        self._done = False
        try:
            while not self._done and not self._stopping:
                for event in self.executor.events(WAIT if self.held else min(self._queue.left, ASK[1])):
                    self._take(event)
                self._outage.bear(lambda: self._round(job, until_empty))
        finally:
            self._give_back()

    def stop(self) -> None:
        """End `work` soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def _round(self, job: int | None, until_empty: bool) -> None:
        """All that needs the store. First of all, leases are renewed: a claim sweeps up those that are over."""
        self._report()
        self._look()
        if self._queue.left or not self._outage.is_over:
            return
        self._queue.later()
        if self._fill(job):
            self._queue.now()
        elif until_empty and not self.held:
            self._done = not self._is_open(job)

    def _fill(self, job: int | None) -> int:
        """Claim what there is room for. Answers how many."""
        for count in range(CLAIMS):
            room = self.executor.room
            if len(self.held) >= (self.slots or len(self.held) + 1) or max(room.cpus, room.gpus) <= 0:
                return count
            gpu = None if min(room.cpus, room.gpus) > 0 else room.gpus > 0
            claim = self.store.claim(self.owner, job=job, gpu=gpu)
            if claim is None:
                return count
            self._begin(claim)
        return CLAIMS

    def _begin(self, claim: Claim) -> None:
        run = claim.run
        if run.id in self.held:  # its lease ran out while this process was suspended: it goes on under the new one
            self.held[run.id].claim = claim
            return
        held = Held(claim, Attempt(run.id, claim.lease), run.network_steps or 0)
        try:
            origin = origin_of(self.store, run)
            given = Assignment(held.attempt, run.fragments, run.seed, run.budget, claim.checkpoint, origin)
            self.executor.start(given)
        except (Unreachable, Busy):  # the lease runs out by itself
            raise
        except EvornnError as error:
            held.ended = Ended(held.attempt, "error", str(error), retry=False)
        self.held[run.id] = held
        self.listener.claimed(run)

    def _take(self, event: Event) -> None:
        held = self.held.get(event.attempt.run)
        if held is None or held.attempt != event.attempt or held.ended is not None:  # of a run that was taken from us
            return
        held.hear(event)
        if isinstance(event, Said):
            self.listener.updated(held.claim.run, event.update)
        elif event.cause == "machine":
            self.crashes[event.attempt.run] += 1
        if len(held.rows) > ROWS:
            self._lose(held, f"said more than {ROWS:,} rows while the database was away")

    def _report(self) -> None:
        """Write down what was said: of all runs now and then, of those that are over at once."""
        everyone = self._clock() >= self._report_at
        due = [held for held in self.held.values() if everyone or held.is_over]
        answers = self.store.record_all([held.report() for held in due]) if due else {}
        if everyone:
            self._report_at = self._clock() + REPORT
        for held in due:
            self._answered(held, answers[held.claim.run.id])
        for held in due:
            if held.ended is not None and held.claim.run.id in self.held:
                self._end(held, held.ended)

    def _answered(self, held: Held, answer: bool | StoreError) -> None:
        """The store's answer to a report: whether the run is to be cancelled, or what was wrong."""
        if isinstance(answer, Fenced):
            self._lose(held, str(answer))
        elif isinstance(answer, StoreError):
            held.forget()
            self._stop_by_force(held, Ended(held.attempt, "error", str(answer), retry=False))
        elif held.result is not None:
            self._drop(held, "succeeded")
        else:
            held.forget()
            if answer and held.ended is None:
                self._cancel(held)

    def _cancel(self, held: Held) -> None:
        """Ask a run to stop, and when it doesn't for too long stop it by force."""
        if held.asked_to_stop is None:
            held.asked_to_stop = self._clock()
            self.executor.stop(held.attempt, force=False)
        elif self._clock() - held.asked_to_stop >= FORCE:
            self._stop_by_force(held, Ended(held.attempt, "stopped"))

    def _end(self, held: Held, ended: Ended) -> None:
        run, lease, reason = held.claim.run.id, held.claim.lease, ended.reason
        try:
            if ended.cause == "error" or self.crashes[run] > CRASHES:
                state = self.store.fail(run, lease, reason, retry=ended.retry and ended.cause == "error")
            else:
                self.store.release(run, lease)
                state = "released" if held.asked_to_stop is None else "cancelled"
        except Fenced as fenced:
            state, reason = "lost", str(fenced)
        self._drop(held, state, reason)

    def _look(self) -> None:
        """Say that this dispatcher lives, on which machines, and take over the runs of one that certainly doesn't."""
        if self._clock() < self._look_at:
            return
        self._look_at = self._clock() + LOOK
        slots = len(self.held) + max(0, int(self.executor.room.cpus))
        self.store.seen(self.owner, slots, len(self.held), self.executor.machines)
        for owner in self.store.live_owners():
            if owner != self.owner and is_dead(owner):
                self.store.release_owner(owner)

    def _is_open(self, job: int | None) -> bool:
        """Whether others still have runs, or some wait for another try."""
        if job is not None:
            return bool(UNFINISHED & set(self.store.job(job).counts))
        return any(self.store.runs(state=state, limit=1) for state in UNFINISHED)

    def _stop_by_force(self, held: Held, ended: Ended) -> None:
        self.executor.stop(held.attempt)
        held.ended = ended

    def _lose(self, held: Held, reason: str) -> None:
        self.executor.stop(held.attempt)
        self._drop(held, "lost", reason)

    def _drop(self, held: Held, state: str, reason: str = "") -> None:
        run = held.claim.run
        del self.held[run.id]
        if state in ("succeeded", "failed", "cancelled"):
            self.crashes.pop(run.id, None)
        self._queue.now()  # there is room
        self.listener.ended(run, state, reason)

    def _give_back(self) -> None:
        """With what was said so far, so that nobody computes it again."""
        with suppress(StoreError):  # of a store that is gone: then the leases run out by themselves
            self._report_at = 0.0
            self._report()
        for held in list(self.held.values()):
            self.executor.stop(held.attempt)
            with suppress(StoreError):
                self.store.release(held.claim.run.id, held.claim.lease)
            self._drop(held, "released", "interrupted")


def origin_of(store: Store, run: StoredRun) -> Origin | None:
    """Where a warm start begins: the champion of an earlier run."""
    start = run.fragments.get("start_from")
    return None if start is None else Origin(store.champion(start["run"]), start["spread"])
