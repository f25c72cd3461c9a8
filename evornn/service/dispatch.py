"""The dispatcher: claims runs from the store, gives them to an executor, and records what they say. Only it writes
results. Whoever dies, the lease ends and another goes on from the last checkpoint."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from evornn.errors import EvornnError
from evornn.service.executor import Assignment, Ended, Executor, Said
from evornn.service.owner import is_dead, own_name
from evornn.store.errors import Diverged, Fenced
from evornn.store.records import Claim, StoredRun
from evornn.store.store import Store
from evornn.training.oracle import Origin
from evornn.training.records import Update

WAIT = 0.2  # seconds for events, at most
HEARTBEAT = 5.0  # seconds without a word from a run until its lease is renewed for it
UNFINISHED = {"queued", "running", "cancelling"}
CRASHES = 20  # of a run's machine, until it is taken to be the run that kills it


class Listener(Protocol):
    """Who watches: the command line's progress, a log."""

    def claimed(self, run: StoredRun) -> None: ...
    def updated(self, run: StoredRun, update: Update) -> None: ...
    def ended(self, run: StoredRun, state: str, reason: str) -> None: ...


@dataclass
class Held:
    """A run that is ours."""

    claim: Claim
    network_steps: int = 0  # of its last update
    doing: str = ""
    heard: float = field(default_factory=time.monotonic)


class Dispatcher:
    """Works off a job, or whatever is queued."""

    def __init__(self, store: Store, executor: Executor, listener: Listener, owner: str | None = None) -> None:
        self.store, self.executor, self.listener = store, executor, listener
        self.owner = owner or own_name()
        self.held: dict[int, Held] = {}
        self.crashes: dict[int, int] = {}

    def work(self, job: int) -> None:
        """Until no run of the job is open, here or elsewhere. An interrupt gives the runs back and is raised again."""
        try:
            while self._fill(job) or self._open(job):
                for event in self.executor.events(WAIT):
                    self._heard(event)
                self._heartbeats()
        except BaseException:
            self._give_back()
            raise

    def _fill(self, job: int) -> bool:
        """Claim runs while there is room. Whether any run is ours."""
        while len(self.held) < self.executor.slots:
            claim = self.store.claim(self.owner, job=job)
            if claim is None:
                break
            self._begin(claim)
        return bool(self.held)

    def _begin(self, claim: Claim) -> None:
        run, under_way = claim.run, claim.run.id in self.held
        self.held[run.id] = Held(claim, run.network_steps or 0)
        if under_way:  # its lease ran out while this process was suspended: it goes on under the new one
            return
        self.listener.claimed(run)
        try:
            origin = origin_of(self.store, run)
            self.executor.start(Assignment(run.id, run.fragments, run.seed, run.budget, claim.checkpoint, origin))
        except EvornnError as error:
            self._heard(Ended(run.id, "error", str(error), retry=False))

    def _heard(self, event: Said | Ended) -> None:
        held = self.held.get(event.run)
        if held is None:  # of a run that was taken from us
            return
        held.heard = time.monotonic()
        try:
            if isinstance(event, Said):
                held.network_steps, held.doing = event.update.network_steps, event.update.doing
                self._record(held.claim, event.update)
            else:
                self._end(held.claim, event)
        except Fenced as fenced:
            self.executor.stop(event.run)
            self._drop(held.claim.run, "lost", str(fenced))
        except Diverged as diverged:
            self.executor.stop(event.run)
            self.store.fail(event.run, held.claim.lease, str(diverged), retry=False)
            self._drop(held.claim.run, "failed", str(diverged))

    def _record(self, claim: Claim, update: Update) -> None:
        run, lease = claim.run, claim.lease
        if update.result is not None:
            self.store.finish(run.id, lease, update.result, update.rows)
            self.listener.updated(run, update)
            self._drop(run, "succeeded")
            return
        reply = self.store.record(run.id, lease, update.rows, update.checkpoint, network_steps=update.network_steps)
        self.listener.updated(run, update)
        if reply.cancel_requested:
            self.executor.stop(run.id)

    def _end(self, claim: Claim, ended: Ended) -> None:
        run, lease = claim.run, claim.lease
        self.crashes[run.id] = self.crashes.get(run.id, 0) + (ended.cause == "machine")
        if ended.cause == "error" or self.crashes[run.id] > CRASHES:
            state = self.store.fail(run.id, lease, ended.reason, retry=ended.retry and ended.cause == "error")
        else:
            self.store.release(run.id, lease)
            state = "released"
        self._drop(run, state, ended.reason)

    def _heartbeats(self) -> None:
        """A long trainer step says nothing; that its executor still has it is life enough."""
        for run, held in list(self.held.items()):
            if time.monotonic() - held.heard > HEARTBEAT:
                self._heard(Said(run, Update([], None, network_steps=held.network_steps, doing=held.doing)))

    def _open(self, job: int) -> bool:
        """Whether others still have runs of the job, or some wait; those of a dead dispatcher are taken over."""
        for owner in self.store.live_owners():
            if owner != self.owner and is_dead(owner):
                self.store.release_owner(owner)
        return bool(UNFINISHED & set(self.store.job(job).counts))

    def _drop(self, run: StoredRun, state: str, reason: str = "") -> None:
        del self.held[run.id]
        self.listener.ended(run, state, reason)

    def _give_back(self) -> None:
        for run, held in list(self.held.items()):
            self.executor.stop(run)
            with suppress(EvornnError):  # of a store that is gone: then the lease runs out by itself
                self.store.release(run, held.claim.lease)
            self._drop(held.claim.run, "released", "interrupted")


def origin_of(store: Store, run: StoredRun) -> Origin | None:
    """Where a warm start begins: the champion of an earlier run."""
    start = run.fragments.get("start_from")
    return None if start is None else Origin(store.champion(start["run"]), start["spread"])
