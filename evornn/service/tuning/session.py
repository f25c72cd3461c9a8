"""A tuning step by step: which job is to be computed now, asked of a store or of a server, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evornn.experiments.yaml import check_plain
from evornn.service.policy import SubmissionPolicy
from evornn.store.codec import digest
from evornn.store.records import JobId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.service.interface import ServiceInterface
    from evornn.service.tuning.tuner import Tuner

MAX_SESSIONS = (
    64  # tunings of a store that are remembered; one that was forgotten walks through its finished jobs again
)


@dataclass(frozen=True)
class TuningStep:
    """The job that a tuning goes on with; and how large all of it is."""

    job: JobId
    last: bool  # no batch of trials any more, but the comparison
    trials: int  # of all methods together
    seeds: int  # of each
    steps: int  # network steps of each of their runs


class TuningSession:
    """A tuner that is asked again and again, by whoever computes elsewhere."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self._jobs = tuner.jobs()
        self._open_job: JobId | None = None

    def step(self) -> TuningStep:
        """The same job until it is over, then the next one. Raises EvornnError for one that was cancelled."""
        if self._open_job is None or self.tuner.store.job(self._open_job).finished is not None:
            self._open_job = next(self._jobs, None)
        tunable, last = self.tuner.tunable, self._open_job is None
        job = self.tuner.comparison() if self._open_job is None else self._open_job
        return TuningStep(
            job, last, tunable.tuning.trials * len(tunable.tunable_methods), len(tunable.seeds), tunable.budget.steps
        )


class TuningSessions:
    """The tunings of a store that are under way. Each could be begun again at any time; they are remembered because
    asking a sampler all its questions again takes some 20 ms each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._sessions: dict[str, TuningSession] = {}

    def step(self, spec: Mapping[str, Any], policy: SubmissionPolicy | None, owner: str) -> TuningStep:
        """The step of a spec of this owner. Raises EvornnError."""
        from evornn.service.tuning.tuner import Tuner

        check_plain(spec, "spec")
        key = digest([spec, owner])
        session = self._sessions.pop(key, None) or TuningSession(Tuner(self.store, spec, policy, owner))
        step = session.step()  # one that raises is forgotten, and begun again when it is asked again
        self._sessions[key] = session
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return step


class Tuning:
    """A spec with ranges, tuned by these verbs: first all `jobs`, each to be worked off before the next is asked for,
    then the `comparison`. Raises EvornnError for a spec that is wrong."""

    def __init__(self, service: ServiceInterface, spec: Mapping[str, Any]) -> None:
        self._service, self._spec = service, spec
        self.current = service.tune(spec)

    def jobs(self) -> Iterator[JobId]:
        """Batches of trials. Raises EvornnError for one that was cancelled."""
        while not self.current.last:
            yield self.current.job
            self.current = self._service.tune(self._spec)

    def comparison(self) -> JobId:
        """Every method, untuned and tuned; after all `jobs`."""
        return self.current.job
