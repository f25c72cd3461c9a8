"""The verbs for strangers: what a spec or a comparison costs is paid by a helper process, not by the server's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from evornn.service.expansion import Expanded, expand
from evornn.service.helper_process import Helper
from evornn.service.policy import Rules
from evornn.service.service import Service, compared, designed, reported
from evornn.service.tuning.session import Step, Tunings
from evornn.store.records import JobId, RunId
from evornn.store.store import Store, open_store

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.service.reading.figures import DrawnComparison, DrawnNetwork
    from evornn.service.reading.saved_network import Design

T = TypeVar("T")


class Isolated(Service):
    """A service that never computes in its own process, and whose specs are bound to rules."""

    def __init__(self, store: Store, helper: Helper, rules: Rules, owner: str = "") -> None:
        super().__init__(store, rules, owner)
        self.helper = helper

    def of(self, owner: str) -> Isolated:
        """The same for somebody else."""
        return Isolated(self.store, self.helper, self.rules or Rules(), owner)

    def expand(self, spec: Mapping[str, Any]) -> Expanded:
        return self.helper.call(expand, dict(spec), self.rules or Rules())

    def tune(self, spec: Mapping[str, Any]) -> Step:
        return self.helper.call(_step, self._url, dict(spec), self.rules or Rules(), self.owner)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        return self._there(compared, job, tuple(runs))

    def report(self, job: JobId) -> str:
        return self._there(reported, job)

    def design(self, run: RunId) -> Design:
        return self._there(designed, run)

    def comparison_drawn(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> DrawnComparison:
        from evornn.service.reading.figures import drawn_comparison

        return self._there(drawn_comparison, job, tuple(runs))

    def network_drawn(self, run: RunId) -> DrawnNetwork | None:
        from evornn.service.reading.figures import drawn_network

        return self._there(drawn_network, run)

    def _there(self, function: Callable[..., T], *arguments: Any) -> T:
        found: T = self.helper.call(_on_store, function, self._url, *arguments)
        return found

    @property
    def _url(self) -> str:
        return self.store.url.render_as_string(hide_password=False)


def _on_store(function: Callable[..., T], url: str, *arguments: Any) -> T:
    return function(_store(url), *arguments)


def _step(url: str, spec: Mapping[str, Any], rules: Rules, owner: str) -> Step:
    return _tunings(url).step(spec, rules, owner)


@lru_cache(maxsize=1)
def _tunings(url: str) -> Tunings:
    return Tunings(_store(url))


@lru_cache(maxsize=1)
def _store(url: str) -> Store:
    """The helper's own connection, kept for its next call."""
    return open_store(url, create=False)
