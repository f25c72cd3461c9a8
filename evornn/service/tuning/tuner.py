"""Tuning on a store: each batch of trials is a job, and these jobs are the only record of the tuning.

A restarted tuning replays: it asks the samplers for the same settings, tells them the same losses, and submits the same
jobs under the same idempotency keys. The store returns the jobs that it has already, so the tuning arrives where it
stopped.
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

MAX_DRAWS = 100  # attempts at a trial whose settings fit together
Check: TypeAlias = Callable[[list[RunPlan]], ExpandedSpec]


class Study:
    """The trials of one method, and the sampler that proposes the next."""

    def __init__(self, tunable: TunableSpec, method: Method, check: Check) -> None:
        self.tunable, self.method = tunable, method
        self.trials: list[Trial] = []
        self._check = check
        self._sampler: Sampler = tunable.sampler(method)
        self._open_numbers: list[int] = []  # the sampler's numbers of the open trials

    def ask(self, number: int, position: int) -> ExpandedSpec:
        """The runs of the next trial, the first at `position`. Raises EvornnError if no drawn settings fit together."""
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
        """Report the results of all trials asked for so far, in their order."""
        for sampler_number, trial in zip(self._open_numbers, trials, strict=True):
            self._sampler.tell(sampler_number, trial.loss)
        self.trials += trials
        self._open_numbers.clear()


class Tuner:
    """Tunes one spec on one store: first all `jobs`, then the `comparison`.

    Args:
        store: Where the jobs go.
        spec: The spec with ranges.
        policy: What the spec may name; None: anything.
        owner: User of the jobs.

    Raises:
        EvornnError: The spec is wrong.
    """

    def __init__(
        self, store: Store, spec: Mapping[str, Any], policy: SubmissionPolicy | None = None, owner: str = ""
    ) -> None:
        self.store, self.spec, self.owner = store, dict(spec), owner
        self.tunable = parse_tunable_spec(spec, own_code=True if policy is None else policy.allowed_code)
        self._check = partial(validate_plans, start_from=self.tunable.experiment.start_from, policy=policy)
        self.studies = [Study(self.tunable, method, self._check) for method in self.tunable.tunable_methods]
        self._check(self.tunable.comparison({}))

    def jobs(self) -> Iterator[JobId]:
        """Batches of trials, each of which must be computed before the next is requested. Raises EvornnError if one was
        not."""
        for numbers in batches(self.tunable):
            # Within a batch the samplers propose without knowing results, so that trials run side by side and the
            # proposals don't depend on the number of workers.
            batch = ExpandedSpec([], [], self.tunable.experiment.start_from)
            for study in self.studies:
                for number in numbers:
                    trial = study.ask(number, position=len(batch.plans))
                    batch.plans.extend(trial.plans)
                    batch.facts.extend(trial.facts)
            job = self._submit(batch, f"trial {numbers[0] + 1}", experiment_of(self.spec))
            yield job
            by_method = batch_trials(self.tunable, self.store.runs(job=job, order="position"), numbers)
            for study, more in zip(self.studies, by_method, strict=True):
                study.tell(more)

    def comparison(self) -> JobId:
        """The job of every method, untuned and tuned, on fresh seeds with the full budget."""
        plans = self.tunable.comparison(
            {study.method.labels: best_trial(study.trials).values for study in self.studies}
        )
        return self._submit(self._check(plans), "comparison", self.tunable.experiment.name)

    def _submit(self, expanded: ExpandedSpec, what: str, experiment: str) -> JobId:
        """Submit a job, or find the one of before and resume its cancelled runs."""
        key = f"tune {digest(self.spec)} {what}"
        try:
            job = enqueue(self.store, self.spec, expanded, key, experiment=experiment, owner=self.owner)
        except Conflict:
            raise Conflict(
                f"{self.store.display_url} has a tuning of this spec that took another course, by another version of "
                "evornn or Optuna, or because its runs were retried: set another seed under tuning, or use another "
                "store"
            ) from None
        for run in self.store.runs(job=job, state="cancelled"):
            self.store.resume(run=run.id)
        return job
