"""The dispatcher: claims runs from the store, hands them to an executor, and records their progress. Only dispatchers
write results. When one dies, its leases expire, and another resumes its runs from their last checkpoints."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Protocol

from evornn.errors import EvornnError
from evornn.experiments.identity import RunIdentity
from evornn.service.backoff import Backoff, Clock, OutageRetry
from evornn.service.dispatch.active_run import ActiveRun
from evornn.service.dispatch.clock_watch import ClockWatch
from evornn.service.dispatch.process_identity import current_identity, is_dead
from evornn.service.executors.executor import Assignment, Attempt, EndEvent, Executor, ExecutorEvent, ProgressEvent
from evornn.store.errors import Diverged, Fenced, SerializationFailure, StoreError, Unreachable, Unstorable
from evornn.store.records import Claim, StoredRun
from evornn.store.store import Store
from evornn.training.oracle import Origin
from evornn.training.records import Update

POLL_TIMEOUT = 0.2  # seconds to wait for events while runs are active
REPORT = 0.5  # seconds between two reports about all runs, in one transaction, which also renew their leases
CLAIM_BACKOFF = (0.2, 1.0)  # seconds between two claims on an empty queue: first, and at most
HEARTBEAT_INTERVAL = 2.0  # seconds between two heartbeats, each with a look at the other dispatchers
STOP_TIMEOUT = 4.0  # seconds until a run that was asked to stop is stopped by force
RELEASE_TIME = 10.0  # seconds at the end for checkpoints that are being written: a container has 20
COOLDOWN = 3.0  # seconds after an outage without claims: other dispatchers must renew their leases first
CLAIMS = 64  # in a row, before events are handled again
MAX_ROWS = 5_000  # rows of a run that are kept while the database can't be reached
CRASHES = 20  # of a run's machine, after which the run counts as their cause
UNFINISHED = {"queued", "running", "cancelling"}


class Listener(Protocol):
    """Watches a dispatcher: the command line's progress, or a log."""

    def on_claim(self, run: StoredRun) -> None:
        """The dispatcher has claimed a run."""

    def on_update(self, run: StoredRun, update: Update) -> None:
        """A run has made progress, or shown that it is alive."""

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        """The dispatcher is done with a run.

        Args:
            run: The run as it was claimed.
            state: "succeeded", "queued" (for another try), "failed", "cancelled", "released", or "lost" to another
                worker.
            reason: Why it ended, in one line; empty for a success.
        """


class Dispatcher:
    """Processes a job, or the whole queue.

    Each round of `work` waits for events of the executor and takes them over in memory; then everything that needs the
    store follows in `_synchronize`: report, heartbeat, claim. So an outage of the database concerns only the second
    half: runs continue, and their progress is kept for `patience` seconds.

    Args:
        store: The queue, and where results are written.
        executor: Computes the runs.
        listener: Watches.
        owner: Identity of this dispatcher; default: that of the process.
        slots: Maximum number of runs at once; default: as many as the executor has resources for.
        patience: Seconds that the database may be unreachable.
        clock: Seconds, monotonic.
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
        self._watch = ClockWatch(self.owner, clock)
        self._report_at = self._heartbeat_at = 0.0
        self._finished = self._stopping = False

    def work(self, job: int | None = None, until_empty: bool = True) -> None:
        """Process runs until none is open, here or elsewhere, or until `stop`. Then, or when interrupted, active runs
        are released.

        Args:
            job: Only the runs of this job; default: all.
            until_empty: Return when no run is open; otherwise wait for further ones.

        Raises:
            StoreError: The store failed, or was unreachable for too long.
        """
        self._finished = False
        try:
            while not self._finished and not self._stopping:
                for event in self.executor.events(
                    POLL_TIMEOUT if self.active_runs else min(self._claim_backoff.time_left, CLAIM_BACKOFF[1])
                ):
                    self._handle(event)
                self._outage.call(lambda: self._synchronize(job, until_empty))
            while self._finished and self.store.sweep():
                pass  # old portions of checkpoints, which nobody else may come to delete
        finally:
            self._release_all()

    def stop(self) -> None:
        """End `work` soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def _synchronize(self, job: int | None, until_empty: bool) -> None:
        """Everything that needs the store. Leases are renewed first, since a claim requeues expired ones."""
        self._report()
        self._heartbeat()
        if self._claim_backoff.time_left or not self._outage.is_over:
            return
        self._claim_backoff.back_off()
        if self._may_claim() and self._claim_runs(job):
            self._claim_backoff.reset()
        elif until_empty and not self.active_runs:
            self._finished = not self._is_open(job)

    def _may_claim(self) -> bool:
        """Whether the leases that a claim would end have expired by their owners' clocks, too."""
        lapsed = {owner for owner in self.store.lapsed_owners() if owner != self.owner and not is_dead(owner)}
        if lapsed:
            self._watch.look(self.store.workers(), self.store.now())
        return self._watch.may_take_from(lapsed)

    def _claim_runs(self, job: int | None) -> int:
        """Claim as many runs as there are free slots and resources. Returns how many."""
        for count in range(CLAIMS):
            available = self.executor.available_resources
            if (
                len(self.active_runs) >= (self.slots or len(self.active_runs) + 1)
                or max(available.cpus, available.gpus) <= 0
            ):
                return count
            # With both free any run will do; otherwise only runs that need a GPU, or only those that don't.
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
        ):  # its lease expired while this process was suspended: it continues under a new one
            self.active_runs[run.id].claim = claim
            return
        active = ActiveRun(claim, Attempt(run.id, claim.lease), run.network_steps or 0)
        try:
            origin = origin_of(self.store, run)
            identity = RunIdentity(run.data_digest, run.code_digest)
            work = (run.fragments, run.seed, run.budget, claim.checkpoint, origin, identity)
            assignment = Assignment(active.attempt, *work)
            self.executor.start(assignment)
        except (Unreachable, SerializationFailure):  # the lease will expire
            raise
        except EvornnError as error:  # of the run: the next report fails it
            active.end = EndEvent(active.attempt, "error", str(error), retry=False)
        self.active_runs[run.id] = active
        self.listener.on_claim(run)

    def _handle(self, event: ExecutorEvent) -> None:
        active = self.active_runs.get(event.attempt.run)
        if active is None or active.attempt != event.attempt or active.end is not None:  # of a run that we have lost
            return
        active.handle(event)
        if isinstance(event, ProgressEvent):
            self.listener.on_update(active.claim.run, event.update)
        elif event.cause == "machine":
            self.crashes[event.attempt.run] += 1
        if len(active.rows) > MAX_ROWS:
            self._abandon(active, f"reported more than {MAX_ROWS:,} rows while the database was unreachable")

    def _report(self) -> None:
        """Write the progress of runs: all of them now and then, finished ones at once."""
        everyone = self._clock() >= self._report_at
        due = [active for active in self.active_runs.values() if everyone or active.is_finished]
        answers = self.store.record_all([active.report() for active in due]) if due else {}
        if everyone:
            self._report_at = self._clock() + REPORT
        for active in due:
            self._apply_answer(active, answers[active.claim.run.id])
        for active in list(self.active_runs.values()):
            self._write_portion(active)
        # Runs that ended without a result, unless the answer has removed them already.
        for active in due:
            if active.end is not None and active.claim.run.id in self.active_runs and not active.is_writing:
                self._end(active, active.end)

    def _write_portion(self, active: ActiveRun) -> None:
        """Write a portion of a large checkpoint: one per round, since all other runs have to be reported meanwhile."""
        try:
            active.write_portion(self.store)
        except (Unreachable, SerializationFailure):
            raise
        except StoreError as error:
            self._apply_answer(active, error)

    def _apply_answer(self, active: ActiveRun, answer: bool | StoreError) -> None:
        """Act on the store's answer to a report: whether the run is to be cancelled, or what was wrong with it."""
        if isinstance(answer, Fenced):
            self._abandon(active, str(answer))
        elif isinstance(answer, StoreError):  # of this report alone: the run has failed
            active.discard()
            retry = not isinstance(answer, (Diverged, Unstorable))  # which another try would meet again
            self._force_stop(active, EndEvent(active.attempt, "error", str(answer), retry))
        elif active.result is not None:
            self._remove(active, "succeeded")
        else:
            active.clear()
            if answer and active.end is None:
                self._cancel(active)

    def _cancel(self, active: ActiveRun) -> None:
        """Ask a run to stop; stop it by force when it takes too long."""
        if active.stop_requested_at is None:
            active.stop_requested_at = self._clock()
            self.executor.stop(active.attempt, force=False)
        elif self._clock() - active.stop_requested_at >= STOP_TIMEOUT:
            self._force_stop(active, EndEvent(active.attempt, "stopped"))

    def _end(self, active: ActiveRun, end: EndEvent) -> None:
        """Fail a run for its own error, release it for anything else: a machine that died is not the run's failure."""
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
        """Record that this dispatcher is alive, and release the runs of dispatchers that are certainly dead."""
        if self._clock() < self._heartbeat_at:
            return
        self._heartbeat_at = self._clock() + HEARTBEAT_INTERVAL
        slots = len(self.active_runs) + max(0, int(self.executor.available_resources.cpus))
        self.store.heartbeat(self.owner, slots, len(self.active_runs), self.executor.machines)
        self.store.sweep()  # one portion of what killed submissions and deletions have left, nearly always none
        self._watch.look(self.store.workers(), self.store.now())
        for owner in self.store.live_owners():
            if owner != self.owner and is_dead(owner):
                self.store.release_owner(owner)

    def _is_open(self, job: int | None) -> bool:
        """Whether other dispatchers still compute runs, or some wait for another try."""
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
        self._claim_backoff.reset()  # a slot is free
        self.listener.on_end(run, state, reason)

    def _release_all(self) -> None:
        """Stop and release all runs, with their progress so far, so that no one recomputes it."""
        with suppress(StoreError):  # the store is gone: the leases will expire
            until = self._clock() + RELEASE_TIME
            while True:
                self._report_at = 0.0
                self._report()
                if not any(active.is_writing for active in self.active_runs.values()) or self._clock() >= until:
                    break
        for active in list(self.active_runs.values()):
            self.executor.stop(active.attempt)
            with suppress(StoreError):
                self.store.release(active.claim.run.id, active.claim.lease)
            self._remove(active, "released", "interrupted")


def origin_of(store: Store, run: StoredRun) -> Origin | None:
    """The champion from which a run's warm start begins; None without one."""
    start = run.fragments.get("start_from")
    return None if start is None else Origin(store.champion(start["run"]), start["spread"])
