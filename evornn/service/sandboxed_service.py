"""The service for untrusted users: specs and comparisons are computed in a helper process, not in the server's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, TypeVar

from evornn.service.expansion import ExpandedSpec, expand
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.service import Service
from evornn.service.tuning.session import TuningSessions
from evornn.service.tuning.step import TuningStep
from evornn.store.store import Store, open_store

P = ParamSpec("P")
T = TypeVar("T")


class SandboxedService(Service):
    """A service that computes in a helper process, and whose specs are bound to a policy."""

    def __init__(self, store: Store, helper: HelperProcess, policy: SubmissionPolicy, owner: str = "") -> None:
        super().__init__(store, policy, owner)
        self.helper = helper

    def for_owner(self, owner: str) -> SandboxedService:
        """The same service for another user."""
        return SandboxedService(self.store, self.helper, self.policy or SubmissionPolicy(), owner)

    def expand(self, spec: Mapping[str, Any]) -> ExpandedSpec:
        return self.helper.call(expand, dict(spec), self.policy or SubmissionPolicy())

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        return self.helper.call(_step, self._url, dict(spec), self.policy or SubmissionPolicy(), self.owner)

    def call(self, function: Callable[Concatenate[Store, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        with (self.policy or SubmissionPolicy()).hide_folder():
            result: T = self.helper.call(_on_store, function, self._url, arguments, keywords)
        return result

    @property
    def _url(self) -> str:
        return self.store.url.render_as_string(hide_password=False)


def _on_store(function: Callable[..., T], url: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> T:
    return function(_store(url), *arguments, **keywords)


def _step(url: str, spec: Mapping[str, Any], policy: SubmissionPolicy, owner: str) -> TuningStep:
    return _sessions(url).step(spec, policy, owner)


@lru_cache(maxsize=1)
def _sessions(url: str) -> TuningSessions:
    return TuningSessions(_store(url))


@lru_cache(maxsize=1)
def _store(url: str) -> Store:
    """The helper's own connection, which it keeps for the next call."""
    return open_store(url, create=False)
