"""Tuning on a store: each batch of trials is a job, and the trials so far are what these jobs hold.

Nothing else is kept. Who begins again asks the samplers the same questions, tells them the same answers, and submits
the same jobs under the same idempotency keys, which are those that are there already: so it comes to where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans
from evornn.experiments.sampler import Sampler
from evornn.experiments.spec import RunPlan
from evornn.experiments.tunable import tunable
from evornn.experiments.tuning import Method, Tunable
from evornn.service.service import Expanded, enqueue
from evornn.service.trials import Trial, batches, best, experiment_of, trials
from evornn.store.codec import digest
from evornn.store.errors import Conflict
from evornn.store.records import JobId
from evornn.store.store import Store

DRAWS = 100  # of a trial, until its settings fit together


class Search:
    """The trials of one method, and where it is tried next."""

    def __init__(self, tunable: Tunable, method: Method) -> None:
        self.tunable, self.method = tunable, method
        self.trials: list[Trial] = []
        self._sampler: Sampler = tunable.sampler(method)
        self._asked: list[int] = []  # numbers that the sampler gave to the trials that are open

    def ask(self, number: int, position: int) -> tuple[list[RunPlan], list[int]]:
        """The runs of the next trial and their sizes. Raises EvornnError where nothing that is drawn fits together."""
        problem: EvornnError | None = None
        for _ in range(DRAWS):
            drawn, values = self._sampler.ask()
            plans = self.tunable.trial(self.method, number, values, position)
            try:
                sizes = check_plans(plans)
            except EvornnError as error:
                self._sampler.refuse(drawn)
                problem = error
            else:
                self._asked.append(drawn)
                return plans, sizes
        who = f"{self.method.network}, {self.method.trainer}"
        raise EvornnError(f"{who}: {DRAWS} draws in a row don't fit together: change the ranges; the last: {problem}")

    def tell(self, trials: Sequence[Trial]) -> None:
        """All trials that were asked for, in their order."""
        for drawn, trial in zip(self._asked, trials, strict=True):
            self._sampler.tell(drawn, trial.loss)
        self.trials += trials
        self._asked.clear()


class Tuner:
    """One spec on one store: first all `jobs`, then the `comparison`. Raises EvornnError for a spec that is wrong."""

    def __init__(self, store: Store, spec: Mapping[str, Any]) -> None:
        self.store, self.spec, self.tunable = store, dict(spec), tunable(spec)
        self.searches = [Search(self.tunable, method) for method in self.tunable.tuned]
        check_plans(self.tunable.comparison({}))

    def jobs(self) -> Iterator[JobId]:
        """One batch of trials after the other, each to be worked off before the next is asked for. Raises EvornnError
        for one that was not."""
        for numbers in batches(self.tunable):
            plans: list[RunPlan] = []
            sizes: list[int] = []
            for search in self.searches:
                for number in numbers:
                    asked, parameters = search.ask(number, position=len(plans))
                    plans += asked
                    sizes += parameters
            job = self._submit(plans, sizes, f"trial {numbers[0] + 1}", experiment_of(self.spec))
            yield job
            found = trials(self.tunable, self.store.runs(job=job, order="position"), numbers)
            for search, more in zip(self.searches, found, strict=True):
                search.tell(more)

    def comparison(self) -> JobId:
        """The job of every method, untuned and tuned, on fresh seeds with the whole budget."""
        plans = self.tunable.comparison({search.method.labels: best(search.trials).values for search in self.searches})
        return self._submit(plans, check_plans(plans), "comparison", self.tunable.experiment.name)

    def _submit(self, plans: list[RunPlan], sizes: list[int], what: str, experiment: str) -> JobId:
        """A new job, or the same one as before; what was cancelled of it goes on."""
        expanded = Expanded(plans, sizes, self.tunable.experiment.start_from)
        try:
            job = enqueue(self.store, self.spec, expanded, f"tune {digest(self.spec)} {what}", experiment=experiment)
        except Conflict:
            raise Conflict(
                f"{self.store.where} has a tuning of this spec that went another way, by another version of evornn or "
                "Optuna, or because its runs were retried: choose another --store, or another seed under tuning"
            ) from None
        for run in self.store.runs(job=job, state="cancelled"):
            self.store.resume(run=run.id)
        return job
