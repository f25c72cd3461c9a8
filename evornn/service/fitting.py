"""From a file to a verdict and a model: a job that is found again by the same call, and what it has found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evornn.errors import EvornnError
from evornn.experiments.fit_spec import find_spec, write_spec
from evornn.service.expansion import enqueue
from evornn.service.reading.results import Results
from evornn.service.service import Service
from evornn.store.records import JobId
from evornn.tasks.core.task import Sequences

if TYPE_CHECKING:
    from evornn.experiments.affordable import AffordableBudget
    from evornn.experiments.analysis.comparison import Comparison, Verdict
    from evornn.experiments.analysis.statistics import Interval
    from evornn.models.standalone import StandaloneModel

AROUND = 25.0  # seconds for what comes before and after the runs: reading, Ray, the comparison, the model


@dataclass(frozen=True)
class FitResult:
    """What a fit has found. The network was chosen on validation data; only then was it judged on the test split."""

    job: JobId
    spec: dict[str, Any]
    comparison: Comparison
    model: StandaloneModel
    test: Interval | None  # the model's test loss; None: too few sequences for an interval

    @property
    def best_baseline(self) -> Verdict | None:
        """The baseline with the lowest test loss; None: there is none."""
        chosen = self.comparison.tasks[0].chosen
        return min(chosen.verdicts, key=lambda one: one.loss, default=None) if chosen else None

    @property
    def sentences(self) -> list[str]:
        """The verdict in words: which family, which network and trainer, how good against the best baseline."""
        from evornn.experiments.analysis import narrative

        (task,) = self.comparison.tasks
        return [*narrative.families(task, self.comparison.alpha), narrative.choice(task), self._judge()]

    def _judge(self) -> str:
        from evornn.experiments.analysis.narrative import number

        floor, test = self.best_baseline, self.test
        said = "" if floor is None else f" The best baseline is {floor.baseline} with {number(floor.loss)}"
        if test is None:
            return f"The test split is too small for an interval of the test loss.{said}{'.' if said else ''}"
        loss = f"Its test loss is {number(test.value)}, 95 % interval {number(test.low)} to {number(test.high)}."
        if floor is None:
            return loss
        how = "better" if test.high < floor.loss else "worse" if test.low > floor.loss else "neither better nor worse"
        return f"{loss}{said}: the network is {how}{'' if how in ('better', 'worse') else ' beyond doubt'}."


def affordable_spec(
    path: Path, spec: Mapping[str, Any], minutes: float, choose: Callable[[float], AffordableBudget]
) -> tuple[dict[str, Any], AffordableBudget | None]:
    """The spec with its budget, which is in the file from then on.

    Args:
        path: The file; if the same call has written it before, its budget stays.
        spec: The spec without its budget.
        minutes: That it should take.
        choose: Makes a budget of so many seconds for all runs.

    Returns:
        The spec; and the budget, None where it was there already.

    Raises:
        EvornnError: The file is something else, or can't be written.
    """
    if (known := find_spec(path, spec, minutes)) is not None:
        return known, None
    budget = choose(60 * minutes - AROUND)
    chosen = budget.apply(spec)
    write_spec(path, chosen, minutes)
    return chosen, budget


def submit_once(service: Service, spec: Mapping[str, Any]) -> JobId:
    """Queue the runs of a spec. The same spec on the same data is the same job, which goes on where it stopped."""
    expanded = service.expand(spec)
    identities = sorted({str(facts.identity) for facts in expanded.facts})
    key = sha256(json.dumps([spec, identities], sort_keys=True).encode()).hexdigest()
    job = enqueue(service.store, spec, expanded, f"fit-{key[:32]}", owner=service.owner)
    service.resume(job)
    return job


def read_fit(results: Results, job: JobId) -> FitResult:
    """What a finished job has found. Raises EvornnError where no run has ended well."""
    from evornn.experiments.analysis.loss_interval import loss_interval

    comparison = results.compare(job)
    chosen = comparison.tasks[0].chosen
    if chosen is None:
        raise EvornnError(f"no run of job {job} ended with a finite loss: `evornn ls {job}` says why")
    run = results.run(chosen.run)
    test = run.data.test
    assert isinstance(test, Sequences)  # as all tasks of own data
    interval = loss_interval(run.network, run.genome, test, run.data.loss)
    return FitResult(job, dict(results.store.spec(job)), comparison, run.model, interval)
