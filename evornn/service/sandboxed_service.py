"""The verbs for strangers: what a spec or a comparison costs is paid by a helper process, not by the server's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from evornn.service.expansion import ExpandedSpec, expand
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.service import Service, compare_runs, load_design, render_report
from evornn.service.tuning.session import TuningSessions, TuningStep
from evornn.store.records import JobId, RunId
from evornn.store.store import Store, open_store

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.service.reading.figures import ComparisonFigures, NetworkFigures
    from evornn.service.reading.saved_network import Design

T = TypeVar("T")


class SandboxedService(Service):
    """A service that never computes in its own process, and whose specs are bound to rules."""

    def __init__(self, store: Store, helper: HelperProcess, policy: SubmissionPolicy, owner: str = "") -> None:
        super().__init__(store, policy, owner)
        self.helper = helper

    def for_owner(self, owner: str) -> SandboxedService:
        """The same for somebody else."""
        return SandboxedService(self.store, self.helper, self.policy or SubmissionPolicy(), owner)

    def expand(self, spec: Mapping[str, Any]) -> ExpandedSpec:
        return self.helper.call(expand, dict(spec), self.policy or SubmissionPolicy())

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        return self.helper.call(_step, self._url, dict(spec), self.policy or SubmissionPolicy(), self.owner)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        return self._call_on_store(compare_runs, job, tuple(runs))

    def report(self, job: JobId) -> str:
        return self._call_on_store(render_report, job)

    def design(self, run: RunId) -> Design:
        return self._call_on_store(load_design, run)

    def draw_comparison(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> ComparisonFigures:
        from evornn.service.reading.figures import draw_comparison

        return self._call_on_store(draw_comparison, job, tuple(runs))

    def draw_network(self, run: RunId) -> NetworkFigures | None:
        from evornn.service.reading.figures import draw_network

        return self._call_on_store(draw_network, run)

    def _call_on_store(self, function: Callable[..., T], *arguments: Any) -> T:
        result: T = self.helper.call(_on_store, function, self._url, *arguments)
        return result

    @property
    def _url(self) -> str:
        return self.store.url.render_as_string(hide_password=False)


def _on_store(function: Callable[..., T], url: str, *arguments: Any) -> T:
    return function(_store(url), *arguments)


def _step(url: str, spec: Mapping[str, Any], policy: SubmissionPolicy, owner: str) -> TuningStep:
    return _sessions(url).step(spec, policy, owner)


@lru_cache(maxsize=1)
def _sessions(url: str) -> TuningSessions:
    return TuningSessions(_store(url))


@lru_cache(maxsize=1)
def _store(url: str) -> Store:
    """The helper's own connection, kept for its next call."""
    return open_store(url, create=False)
