"""What people ask of evornn, in one place for the command line, the library and the servers: submit, compare, ….

What a store answers by itself (jobs, runs, curves, events, cancel, …) is asked of `Service.store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evornn.service.expansion import Expanded, enqueue, expand
from evornn.service.policy import Rules
from evornn.service.reading.comparison_data import Comparing, chosen_job, few
from evornn.service.reading.figures import DrawnComparison, DrawnNetwork, drawn_comparison, drawn_network
from evornn.service.reading.saved_network import Design, design_of
from evornn.service.tuning.session import Step, Tunings
from evornn.store.records import JobId, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison


class Service:
    """The verbs, on a store. `owner` is who asks; with `rules`, specs may name only what these allow."""

    def __init__(self, store: Store, rules: Rules | None = None, owner: str = "") -> None:
        self.store, self.rules, self.owner = store, rules, owner
        self._tunings = Tunings(store)

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        """Queue a spec's runs; `verbs.Verbs` says more."""
        expanded = self.expand(spec)
        return enqueue(self.store, spec, expanded, idempotency_key, owner=self.owner, priority=priority)

    def tune(self, spec: Mapping[str, Any]) -> Step:
        """What a tuning goes on with; `verbs.Verbs` says more."""
        return self._tunings.step(spec, self.rules, self.owner)

    def expand(self, spec: Mapping[str, Any]) -> Expanded:
        """The runs of a spec, checked: data loads, network, trainer and task fit together. Raises EvornnError."""
        return expand(spec, self.rules)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        return compared(self.store, job, runs)

    def report(self, job: JobId) -> str:
        return reported(self.store, job)

    def design(self, run: RunId) -> Design:
        return designed(self.store, run)

    def comparison_drawn(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> DrawnComparison:
        """`compare` with the charts of the report."""
        return drawn_comparison(self.store, job, runs)

    def network_drawn(self, run: RunId) -> DrawnNetwork | None:
        """Charts of the best network that a run has found so far; None before its first mark. Raises NotFound."""
        return drawn_network(self.store, run)


def submit(store: Store, data: Mapping[str, Any], idempotency_key: str | None = None) -> JobId:
    """Queue a spec's runs, all of them checked before: data loads, network, trainer and task fit together."""
    return Service(store).submit(data, idempotency_key=idempotency_key)


def compared(store: Store, job: JobId | None, runs: Sequence[RunId]) -> Comparison:
    """The comparison of the chosen runs, else of the job's, else of the newest job's."""
    if runs:
        return Comparing(store, chosen=few(runs)).comparison
    return Comparing(store, chosen_job(store, job)).comparison


def reported(store: Store, job: JobId) -> str:
    """The comparison of a job as one HTML page."""
    return Comparing(store, store.job(job).id).page(store.where)


def designed(store: Store, run: RunId) -> Design:
    """How a run's network is built: its fragment, and the sizes of its task."""
    return design_of(store.run(run))[0]
