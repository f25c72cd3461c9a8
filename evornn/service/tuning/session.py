"""Tuning, step by step: a store or a server tells at any time which job is to be computed next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evornn.experiments.yaml import check_plain
from evornn.service.policy import SubmissionPolicy
from evornn.service.tuning.step import TuningStep
from evornn.store.codec import digest
from evornn.store.records import JobId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.service.interface import ServiceInterface
    from evornn.service.tuning.tuner import Tuner

MAX_SESSIONS = 64  # tunings that are kept in memory; a dropped one replays its finished jobs


class TuningSession:
    """A tuner that callers poll for its next job, while others compute the jobs."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self._jobs = tuner.jobs()
        self._open_job: JobId | None = None

    def step(self) -> TuningStep:
        """The same job until it has finished, then the next one. Raises EvornnError if it was cancelled."""
        if self._open_job is None or self.tuner.store.job(self._open_job).finished is not None:
            self._open_job = next(self._jobs, None)
        tunable, last = self.tuner.tunable, self._open_job is None
        job = self.tuner.comparison() if self._open_job is None else self._open_job
        return TuningStep(
            job, last, tunable.tuning.trials * len(tunable.tunable_methods), len(tunable.seeds), tunable.budget.steps
        )


class TuningSessions:
    """The tunings of a store that are under way. Each could be replayed from the store at any time; they are kept in
    memory because a replay takes some 20 ms per trial."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._sessions: dict[str, TuningSession] = {}

    def step(self, spec: Mapping[str, Any], policy: SubmissionPolicy | None, owner: str) -> TuningStep:
        """The next step of a tuning.

        Args:
            spec: The spec with ranges.
            policy: What the spec may name; None: anything.
            owner: User of the jobs. The same spec of another user is another tuning.

        Returns:
            The job to compute next.

        Raises:
            EvornnError: The spec is wrong, or runs were cancelled.
        """
        from evornn.service.tuning.tuner import Tuner

        check_plain(spec, "spec")
        key = digest([spec, owner])
        session = self._sessions.pop(key, None) or TuningSession(Tuner(self.store, spec, policy, owner))
        step = session.step()  # if it raises, the session is dropped, and the next call replays it
        self._sessions[key] = session
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return step


class Tuning:
    """The tuning of a spec by a service: first all `jobs`, each of which must be computed before the next is requested,
    then the `comparison`. Raises EvornnError if the spec is wrong."""

    def __init__(self, service: ServiceInterface, spec: Mapping[str, Any]) -> None:
        self._service, self._spec = service, spec
        self.current = service.tune(spec)

    def jobs(self) -> Iterator[JobId]:
        """Batches of trials. Raises EvornnError if one was cancelled."""
        while not self.current.last:
            yield self.current.job
            self.current = self._service.tune(self._spec)

    def comparison(self) -> JobId:
        """The job of every method, untuned and tuned; after all `jobs`."""
        return self.current.job
