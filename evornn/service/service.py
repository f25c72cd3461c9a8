"""What people ask of evornn, in one place for the command line, the library and the servers: submit, compare, ….

What a store answers by itself (jobs, runs, curves, events, cancel, …) is asked of `Service.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from evornn.service.expansion import ExpandedSpec, enqueue, expand
from evornn.service.policy import SubmissionPolicy
from evornn.service.reading.comparison_data import ComparisonData, resolve_job, unique_run_ids
from evornn.service.reading.figures import ComparisonFigures, NetworkFigures, draw_comparison, draw_network
from evornn.service.reading.saved_network import Design, design_of
from evornn.service.tuning.session import TuningSessions, TuningStep
from evornn.store.records import JobId, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison

P = ParamSpec("P")
T = TypeVar("T")


class Service:
    """The verbs, on a store. `owner` is who asks; with a policy, specs may name only what it allows."""

    def __init__(self, store: Store, policy: SubmissionPolicy | None = None, owner: str = "") -> None:
        self.store, self.policy, self.owner = store, policy, owner
        self._sessions = TuningSessions(store)

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        """Queue a spec's runs; `interface.ServiceInterface` says more."""
        expanded = self.expand(spec)
        return enqueue(self.store, spec, expanded, idempotency_key, owner=self.owner, priority=priority)

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        """What a tuning goes on with; `interface.ServiceInterface` says more."""
        return self._sessions.step(spec, self.policy, self.owner)

    def expand(self, spec: Mapping[str, Any]) -> ExpandedSpec:
        """The runs of a spec, checked: data loads, network, trainer and task fit together. Raises EvornnError."""
        return expand(spec, self.policy)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        return self.call(compare_runs, job, tuple(runs))

    def report(self, job: JobId) -> str:
        return self.call(render_report, job)

    def design(self, run: RunId) -> Design:
        return self.call(load_design, run)

    def draw_comparison(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> ComparisonFigures:
        """`compare` with the charts of the report."""
        return self.call(draw_comparison, job, tuple(runs))

    def draw_network(self, run: RunId) -> NetworkFigures | None:
        """Charts of the best network that a run has found so far; None before its first mark. Raises NotFound."""
        return self.call(draw_network, run)

    def call(self, function: Callable[Concatenate[Store, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """`function(store, …)`, here or, in a subclass, in another process: a function of a module, plain arguments."""
        return function(self.store, *arguments, **keywords)


def submit(store: Store, data: Mapping[str, Any], idempotency_key: str | None = None) -> JobId:
    """Queue a spec's runs, all of them checked before: data loads, network, trainer and task fit together."""
    return Service(store).submit(data, idempotency_key=idempotency_key)


def compare_runs(store: Store, job: JobId | None, runs: Sequence[RunId]) -> Comparison:
    """The comparison of the chosen runs, else of the job's, else of the newest job's."""
    if runs:
        return ComparisonData(store, run_ids=unique_run_ids(runs)).comparison
    return ComparisonData(store, resolve_job(store, job)).comparison


def render_report(store: Store, job: JobId) -> str:
    """The comparison of a job as one HTML page."""
    return ComparisonData(store, store.job(job).id).page(store.display_url)


def load_design(store: Store, run: RunId) -> Design:
    """How a run's network is built: its fragment, and the sizes of its task."""
    return design_of(store.run(run))[0]
