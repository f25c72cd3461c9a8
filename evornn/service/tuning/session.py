"""A tuning step by step: which job is to be computed now, asked of a store or of a server, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evornn.experiments.yaml import check_plain
from evornn.service.policy import Rules
from evornn.store.codec import digest
from evornn.store.records import JobId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.service.interface import Verbs
    from evornn.service.tuning.tuner import Tuner

MOST = 64  # tunings of a store that are remembered; one that was forgotten walks through its finished jobs again


@dataclass(frozen=True)
class Step:
    """The job that a tuning goes on with; and how large all of it is."""

    job: JobId
    last: bool  # no batch of trials any more, but the comparison
    trials: int  # of all methods together
    seeds: int  # of each
    steps: int  # network steps of each of their runs


class Stepping:
    """A tuner that is asked again and again, by whoever computes elsewhere."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self._jobs = tuner.jobs()
        self._open: JobId | None = None

    def step(self) -> Step:
        """The same job until it is over, then the next one. Raises EvornnError for one that was cancelled."""
        if self._open is None or self.tuner.store.job(self._open).finished is not None:
            self._open = next(self._jobs, None)
        found, last = self.tuner.tunable, self._open is None
        job = self.tuner.comparison() if self._open is None else self._open
        return Step(job, last, found.tuning.trials * len(found.tuned), len(found.seeds), found.budget.steps)


class Tunings:
    """The tunings of a store that are under way. Each could be begun again at any time; they are remembered because
    asking a sampler all its questions again takes some 20 ms each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, Stepping] = {}

    def step(self, spec: Mapping[str, Any], rules: Rules | None, owner: str) -> Step:
        """The step of a spec of this owner. Raises EvornnError."""
        from evornn.service.tuning.tuner import Tuner

        check_plain(spec, "spec")
        key = digest([spec, owner])
        found = self._known.pop(key, None) or Stepping(Tuner(self.store, spec, rules, owner))
        answer = found.step()  # one that raises is forgotten, and begun again when it is asked again
        self._known[key] = found
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return answer


class Tuning:
    """A spec with ranges, tuned by these verbs: first all `jobs`, each to be worked off before the next is asked for,
    then the `comparison`. Raises EvornnError for a spec that is wrong."""

    def __init__(self, verbs: Verbs, spec: Mapping[str, Any]) -> None:
        self._verbs, self._spec = verbs, spec
        self.now = verbs.tune(spec)

    def jobs(self) -> Iterator[JobId]:
        """Batches of trials. Raises EvornnError for one that was cancelled."""
        while not self.now.last:
            yield self.now.job
            self.now = self._verbs.tune(self._spec)

    def comparison(self) -> JobId:
        """Every method, untuned and tuned; after all `jobs`."""
        return self.now.job
