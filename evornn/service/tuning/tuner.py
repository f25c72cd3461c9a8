"""Tuning on a store: each batch of trials is a job, and the trials so far are what these jobs hold.

Nothing else is kept. Who begins again asks the samplers the same questions, tells them the same answers, and submits
the same jobs under the same idempotency keys, which are those that are there already: so it comes to where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from evornn.errors import EvornnError
from evornn.experiments.spec import RunPlan
from evornn.experiments.tuning.methods import Method, TunableSpec
from evornn.experiments.tuning.sampler import Sampler
from evornn.experiments.tuning.tunable_spec import parse_tunable_spec
from evornn.service.expansion import ExpandedSpec, enqueue, validate_plans
from evornn.service.policy import SubmissionPolicy
from evornn.service.tuning.trials import Trial, batch_trials, batches, best_trial, experiment_of
from evornn.store.codec import digest
from evornn.store.errors import Conflict
from evornn.store.records import JobId
from evornn.store.store import Store

MAX_DRAWS = 100  # of a trial, until its settings fit together
Check: TypeAlias = Callable[[list[RunPlan]], ExpandedSpec]


class Study:
    """The trials of one method, and where it is tried next."""

    def __init__(self, tunable: TunableSpec, method: Method, check: Check) -> None:
        self.tunable, self.method = tunable, method
        self.trials: list[Trial] = []
        self._check = check
        self._sampler: Sampler = tunable.sampler(method)
        self._open_numbers: list[int] = []  # numbers that the sampler gave to the trials that are open

    def ask(self, number: int, position: int) -> ExpandedSpec:
        """The runs of the next trial. Raises EvornnError where nothing that is drawn fits together."""
        problem: EvornnError | None = None
        for _ in range(MAX_DRAWS):
            sampler_number, values = self._sampler.ask()
            try:
                expanded = self._check(self.tunable.trial(self.method, number, values, position))
            except EvornnError as error:
                self._sampler.refuse(sampler_number)
                problem = error
            else:
                self._open_numbers.append(sampler_number)
                return expanded
        who = f"{self.method.network}, {self.method.trainer}"
        raise EvornnError(
            f"{who}: {MAX_DRAWS} draws in a row don't fit together: change the ranges; the last: {problem}"
        )

    def tell(self, trials: Sequence[Trial]) -> None:
        """All trials that were asked for, in their order."""
        for sampler_number, trial in zip(self._open_numbers, trials, strict=True):
            self._sampler.tell(sampler_number, trial.loss)
        self.trials += trials
        self._open_numbers.clear()


class Tuner:
    """One spec on one store: first all `jobs`, then the `comparison`. With `rules`, the spec may name only what these
    allow; `owner` is whose jobs they are. Raises EvornnError for a spec that is wrong."""

    def __init__(
        self, store: Store, spec: Mapping[str, Any], policy: SubmissionPolicy | None = None, owner: str = ""
    ) -> None:
        self.store, self.spec, self.owner = store, dict(spec), owner
        self.tunable = parse_tunable_spec(spec, own_code=True if policy is None else policy.allowed_code)
        self._check = partial(validate_plans, start_from=self.tunable.experiment.start_from, policy=policy)
        self.studies = [Study(self.tunable, method, self._check) for method in self.tunable.tunable_methods]
        self._check(self.tunable.comparison({}))

    def jobs(self) -> Iterator[JobId]:
        """One batch of trials after the other, each to be worked off before the next is asked for. Raises EvornnError
        for one that was not."""
        for numbers in batches(self.tunable):
            batch = ExpandedSpec([], [], self.tunable.experiment.start_from)
            for study in self.studies:
                for number in numbers:
                    trial = study.ask(number, position=len(batch.plans))
                    batch.plans.extend(trial.plans)
                    batch.sizes.extend(trial.sizes)
            job = self._submit(batch, f"trial {numbers[0] + 1}", experiment_of(self.spec))
            yield job
            by_method = batch_trials(self.tunable, self.store.runs(job=job, order="position"), numbers)
            for study, more in zip(self.studies, by_method, strict=True):
                study.tell(more)

    def comparison(self) -> JobId:
        """The job of every method, untuned and tuned, on fresh seeds with the whole budget."""
        plans = self.tunable.comparison(
            {study.method.labels: best_trial(study.trials).values for study in self.studies}
        )
        return self._submit(self._check(plans), "comparison", self.tunable.experiment.name)

    def _submit(self, expanded: ExpandedSpec, what: str, experiment: str) -> JobId:
        """A new job, or the same one as before; what was cancelled of it goes on."""
        key = f"tune {digest(self.spec)} {what}"
        try:
            job = enqueue(self.store, self.spec, expanded, key, experiment=experiment, owner=self.owner)
        except Conflict:
            raise Conflict(
                f"{self.store.display_url} has a tuning of this spec that went another way, by another version of "
                "evornn or Optuna, or because its runs were retried: set another seed under tuning, or keep it in "
                "another store"
            ) from None
        for run in self.store.runs(job=job, state="cancelled"):
            self.store.resume(run=run.id)
        return job
