"""The dispatcher: claims runs from the store, gives them to an executor, and records what they say. Only it writes
results. Whoever dies, the lease ends and another goes on from the last checkpoint."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Protocol

from evornn.errors import EvornnError
from evornn.service.dispatch.active_run import ActiveRun
from evornn.service.dispatch.backoff import Backoff, Clock, OutageRetry
from evornn.service.dispatch.process_identity import current_identity, is_dead
from evornn.service.executors.executor import Assignment, Attempt, EndEvent, Executor, ExecutorEvent, ProgressEvent
from evornn.store.errors import Fenced, SerializationFailure, StoreError, Unreachable
from evornn.store.records import Claim, StoredRun
from evornn.store.store import Store
from evornn.training.oracle import Origin
from evornn.training.records import Update

POLL_TIMEOUT = 0.2  # seconds for events, at most, while runs are under way
REPORT = 0.5  # seconds between two reports about all runs, in one transaction: what they said, and that they live
CLAIM_BACKOFF = (0.2, 1.0)  # seconds until an empty queue is asked again: first, and at most
HEARTBEAT_INTERVAL = 2.0  # seconds between two looks at the other dispatchers
STOP_TIMEOUT = 4.0  # seconds until a run that was asked to stop is stopped by force
COOLDOWN = 3.0  # seconds after an outage in which nothing is claimed: other dispatchers must renew their leases first
CLAIMS = 64  # in a row; then runs have their say
MAX_ROWS = 5_000  # that a run may say while the database is away
CRASHES = 20  # of a run's machine, until it is taken to be the run that kills it
UNFINISHED = {"queued", "running", "cancelling"}


class Listener(Protocol):
    """Who watches: the command line's progress, a log."""

    def on_claim(self, run: StoredRun) -> None: ...
    def on_update(self, run: StoredRun, update: Update) -> None: ...
    def on_end(self, run: StoredRun, state: str, reason: str) -> None: ...


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
        self.owner = owner or current_identity()
        self.active_runs: dict[int, ActiveRun] = {}
        self.crashes: Counter[int] = Counter()
        self._clock, self._claim_backoff, self._outage = (
            clock,
            Backoff(clock, *CLAIM_BACKOFF),
            OutageRetry(clock, patience, COOLDOWN),
        )
        self._report_at = self._heartbeat_at = 0.0
        self._finished = self._stopping = False

    def work(self, job: int | None = None, until_empty: bool = True) -> None:
        """Work off a job, or all of them, until no run is open here or elsewhere, or until `stop`. Gives back what is
        under way then, also when interrupted. Raises StoreError."""
        self._finished = False
        try:
            while not self._finished and not self._stopping:
                for event in self.executor.events(
                    POLL_TIMEOUT if self.active_runs else min(self._claim_backoff.remaining, CLAIM_BACKOFF[1])
                ):
                    self._handle(event)
                self._outage.call(lambda: self._synchronize(job, until_empty))
        finally:
            self._release_all()

    def stop(self) -> None:
        """End `work` soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def _synchronize(self, job: int | None, until_empty: bool) -> None:
        """All that needs the store. First of all, leases are renewed: a claim sweeps up those that are over."""
        self._report()
        self._heartbeat()
        if self._claim_backoff.remaining or not self._outage.is_over:
            return
        self._claim_backoff.back_off()
        if self._claim_runs(job):
            self._claim_backoff.reset()
        elif until_empty and not self.active_runs:
            self._finished = not self._is_open(job)

    def _claim_runs(self, job: int | None) -> int:
        """Claim what there is room for. Answers how many."""
        for count in range(CLAIMS):
            available = self.executor.available_resources
            if (
                len(self.active_runs) >= (self.slots or len(self.active_runs) + 1)
                or max(available.cpus, available.gpus) <= 0
            ):
                return count
            gpu = None if min(available.cpus, available.gpus) > 0 else available.gpus > 0
            claim = self.store.claim(self.owner, job=job, gpu=gpu)
            if claim is None:
                return count
            self._start(claim)
        return CLAIMS

    def _start(self, claim: Claim) -> None:
        run = claim.run
        if (
            run.id in self.active_runs
        ):  # its lease ran out while this process was suspended: it goes on under the new one
            self.active_runs[run.id].claim = claim
            return
        active = ActiveRun(claim, Attempt(run.id, claim.lease), run.network_steps or 0)
        try:
            origin = origin_of(self.store, run)
            assignment = Assignment(active.attempt, run.fragments, run.seed, run.budget, claim.checkpoint, origin)
            self.executor.start(assignment)
        except (Unreachable, SerializationFailure):  # the lease runs out by itself
            raise
        except EvornnError as error:
            active.end = EndEvent(active.attempt, "error", str(error), retry=False)
        self.active_runs[run.id] = active
        self.listener.on_claim(run)

    def _handle(self, event: ExecutorEvent) -> None:
        active = self.active_runs.get(event.attempt.run)
        if (
            active is None or active.attempt != event.attempt or active.end is not None
        ):  # of a run that was taken from us
            return
        active.handle(event)
        if isinstance(event, ProgressEvent):
            self.listener.on_update(active.claim.run, event.update)
        elif event.cause == "machine":
            self.crashes[event.attempt.run] += 1
        if len(active.rows) > MAX_ROWS:
            self._abandon(active, f"said more than {MAX_ROWS:,} rows while the database was away")

    def _report(self) -> None:
        """Write down what was said: of all runs now and then, of those that are over at once."""
        everyone = self._clock() >= self._report_at
        due = [active for active in self.active_runs.values() if everyone or active.is_finished]
        answers = self.store.record_all([active.report() for active in due]) if due else {}
        if everyone:
            self._report_at = self._clock() + REPORT
        for active in due:
            self._apply_answer(active, answers[active.claim.run.id])
        for active in due:
            if active.end is not None and active.claim.run.id in self.active_runs:
                self._end(active, active.end)

    def _apply_answer(self, active: ActiveRun, answer: bool | StoreError) -> None:
        """The store's answer to a report: whether the run is to be cancelled, or what was wrong."""
        if isinstance(answer, Fenced):
            self._abandon(active, str(answer))
        elif isinstance(answer, StoreError):
            active.clear()
            self._force_stop(active, EndEvent(active.attempt, "error", str(answer), retry=False))
        elif active.result is not None:
            self._remove(active, "succeeded")
        else:
            active.clear()
            if answer and active.end is None:
                self._cancel(active)

    def _cancel(self, active: ActiveRun) -> None:
        """Ask a run to stop, and when it doesn't for too long stop it by force."""
        if active.stop_requested_at is None:
            active.stop_requested_at = self._clock()
            self.executor.stop(active.attempt, force=False)
        elif self._clock() - active.stop_requested_at >= STOP_TIMEOUT:
            self._force_stop(active, EndEvent(active.attempt, "stopped"))

    def _end(self, active: ActiveRun, end: EndEvent) -> None:
        run, lease, reason = active.claim.run.id, active.claim.lease, end.reason
        try:
            if end.cause == "error" or self.crashes[run] > CRASHES:
                state = self.store.fail(run, lease, reason, retry=end.retry and end.cause == "error")
            else:
                self.store.release(run, lease)
                state = "released" if active.stop_requested_at is None else "cancelled"
        except Fenced as fenced:
            state, reason = "lost", str(fenced)
        self._remove(active, state, reason)

    def _heartbeat(self) -> None:
        """Say that this dispatcher lives, on which machines, and take over the runs of one that certainly doesn't."""
        if self._clock() < self._heartbeat_at:
            return
        self._heartbeat_at = self._clock() + HEARTBEAT_INTERVAL
        slots = len(self.active_runs) + max(0, int(self.executor.available_resources.cpus))
        self.store.heartbeat(self.owner, slots, len(self.active_runs), self.executor.machines)
        for owner in self.store.live_owners():
            if owner != self.owner and is_dead(owner):
                self.store.release_owner(owner)

    def _is_open(self, job: int | None) -> bool:
        """Whether others still have runs, or some wait for another try."""
        if job is not None:
            return bool(UNFINISHED & set(self.store.job(job).counts))
        return any(self.store.runs(state=state, limit=1) for state in UNFINISHED)

    def _force_stop(self, active: ActiveRun, end: EndEvent) -> None:
        self.executor.stop(active.attempt)
        active.end = end

    def _abandon(self, active: ActiveRun, reason: str) -> None:
        self.executor.stop(active.attempt)
        self._remove(active, "lost", reason)

    def _remove(self, active: ActiveRun, state: str, reason: str = "") -> None:
        run = active.claim.run
        del self.active_runs[run.id]
        if state in ("succeeded", "failed", "cancelled"):
            self.crashes.pop(run.id, None)
        self._claim_backoff.reset()  # there is room
        self.listener.on_end(run, state, reason)

    def _release_all(self) -> None:
        """With what was said so far, so that nobody computes it again."""
        with suppress(StoreError):  # of a store that is gone: then the leases run out by themselves
            self._report_at = 0.0
            self._report()
        for active in list(self.active_runs.values()):
            self.executor.stop(active.attempt)
            with suppress(StoreError):
                self.store.release(active.claim.run.id, active.claim.lease)
            self._remove(active, "released", "interrupted")


def origin_of(store: Store, run: StoredRun) -> Origin | None:
    """Where a warm start begins: the champion of an earlier run."""
    start = run.fragments.get("start_from")
    return None if start is None else Origin(store.champion(start["run"]), start["spread"])
