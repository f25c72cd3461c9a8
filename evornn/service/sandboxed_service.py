"""The service for untrusted users: specs and comparisons are computed in a helper process, not in the server's.

A spec of many runs is submitted by another one, from the first check to the last row: a hundred thousand runs would
keep the server's threads, and the calls of others, waiting for seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, TypeVar

from evornn.experiments.identity import RunFacts
from evornn.experiments.spec import RunPlan, count_runs
from evornn.service.datasets import UploadedDataset, check_upload
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.evaluations import (
    ELSEWHERE,
    Evaluation,
    Evaluations,
    Work,
    evaluate,
    key_of,
    render,
)
from evornn.service.expansion import ExpandedSpec, check_distinct, check_within_policy, parse_within_policy, plan_spec
from evornn.service.helper_process import HelperProcess, tell, too_long
from evornn.service.policy import Record, SubmissionPolicy
from evornn.service.predictions import PredictionRequest, predict_csv, predict_json
from evornn.service.service import Service
from evornn.service.tuning.session import TuningSessions
from evornn.service.tuning.step import TuningStep
from evornn.service.turns import Turns
from evornn.store.records import JobId
from evornn.store.store import Store, open_store
from evornn.tasks.core.task import EvaluationData

P = ParamSpec("P")
T = TypeVar("T")
PORTION_SECONDS = 0.5  # of the helper, about, until others have their turn
BULK = 2_000  # runs of a spec, from which on it is submitted by a process of its own
BULK_SECONDS = 600.0  # for one such spec
BULK_NICENESS = 10  # the server's answers come first
PREDICTION_SECONDS = 10.0  # for one request
EVALUATION_SECONDS = 120.0  # for one report
EVALUATIONS = (8, 2, "reports of models")  # that wait, in all and of one user
PREDICTIONS = (20, 10, "predictions")  # that wait, in all and of one user: threads remain for other requests


class SandboxedService(Service):
    """A service that computes in helper processes, and whose specs are bound to a policy."""

    def __init__(
        self,
        store: Store,
        helper: HelperProcess,
        policy: SubmissionPolicy,
        owner: str = "",
        limited: bool = True,
        bulk: HelperProcess | None = None,
        predictor: HelperProcess | None = None,
        evaluator: HelperProcess | None = None,
        evaluations: Evaluations | None = None,
    ) -> None:
        super().__init__(store, policy, owner, limited)
        self.helper = helper
        self.bulk = bulk or HelperProcess(seconds=BULK_SECONDS, niceness=BULK_NICENESS, stays=False)
        self.predictor = predictor or HelperProcess(seconds=PREDICTION_SECONDS, turns=Turns(*PREDICTIONS))
        self.evaluator = evaluator or HelperProcess(
            seconds=EVALUATION_SECONDS, niceness=BULK_NICENESS, turns=Turns(*EVALUATIONS), elsewhere=ELSEWHERE
        )
        self.evaluations = evaluations or Evaluations()

    def for_owner(self, owner: str, limited: bool = True) -> SandboxedService:
        """The same service for another user, who is bound to a quota if `limited`."""
        helpers = self.bulk, self.predictor, self.evaluator, self.evaluations
        return SandboxedService(self.store, self.helper, self.policy or SubmissionPolicy(), owner, limited, *helpers)

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        policy = self.policy or SubmissionPolicy()
        if self.helper.call(_count_runs, dict(spec), policy, user=self.owner) < BULK:
            return super().submit(spec, idempotency_key=idempotency_key, priority=priority)
        who = policy, self.owner, self.limited
        return self.bulk.call(_submit, self._url, dict(spec), idempotency_key, priority, who, user=self.owner)

    def hide_folder(self, records: Sequence[Record]) -> list[Record]:
        """Runs, events or log lines without the path of the server's data folder."""
        policy = self.policy or SubmissionPolicy()
        return [policy.without_folder(record) for record in records]

    def close(self) -> None:
        """End the helper processes, whatever they are doing."""
        for helper in (self.helper, self.bulk, self.predictor, self.evaluator):
            helper.close()

    def expand(self, spec: Mapping[str, Any]) -> ExpandedSpec:
        plans, start_from = self.helper.call(plan_spec, dict(spec), self.policy or SubmissionPolicy(), user=self.owner)
        return ExpandedSpec(plans, check_distinct(plans, self._check_in_portions), start_from)

    def _check_in_portions(self, plans: list[RunPlan]) -> list[RunFacts]:
        """Check the runs of a spec, with the calls of other users in between. Raises EvornnError, also where all
        portions together take longer than one call may."""
        facts: list[RunFacts] = []
        known: dict[str | None, EvaluationData] = {}  # each portion comes with a copy of what its runs share
        size, spent = 1, 0.0
        while len(facts) < len(plans):
            portion = plans[len(facts) : len(facts) + size]
            more, seconds = self.helper.call(_check_timed, portion, self.policy, user=self.owner)
            facts += [replace(f, evaluation=known.setdefault(f.identity.data, f.evaluation)) for f in more]
            spent += seconds
            if spent > self.helper.seconds:
                raise too_long(self.helper.seconds)
            size = max(1, min(4 * size, int(size * PORTION_SECONDS / max(seconds, 1e-3))))
        return facts

    def _check_upload(self, name: str, content: bytes) -> UploadedDataset:
        return self.helper.call(check_upload, name, content, user=self.owner)

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        return self.helper.call(
            _step, self._url, dict(spec), self.policy or SubmissionPolicy(), self.owner, user=self.owner
        )

    def answer(self, request: PredictionRequest, as_csv: bool = False) -> bytes:
        """Answers of a registered model, as JSON or CSV. They are computed in a process of their own, so that specs
        don't delay them. Raises NotFound, EvornnError."""
        function = predict_csv if as_csv else predict_json
        answers: bytes = self.predictor.call(_on_store, function, self._url, (request,), {}, user=self.owner)
        return answers

    def start_evaluation(self, request: EvaluationRequest) -> tuple[str, Work]:
        """Begin the report of a registered model in a process of its own, which gives way to all others; or find the
        one that is there. Returns its key, for `evaluations.find`. Raises NotFound, EvornnError."""
        policy = self.policy or SubmissionPolicy()
        key = key_of(self.store, request, policy)

        def compute(on_progress: Callable[[str, float], None]) -> Evaluation:
            arguments = self._url, request, policy
            return self.evaluator.call(_evaluate, *arguments, user=self.owner, on_progress=on_progress)

        return key, self.evaluations.start(key, compute)

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        return self.start_evaluation(request)[1].result()

    def render_evaluation(self, evaluation: Evaluation) -> str:
        page: str = self.evaluator.call(_on_store, render, self._url, (evaluation,), {}, user=self.owner)
        return page

    def call(self, function: Callable[Concatenate[Store, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        with (self.policy or SubmissionPolicy()).hide_folder():
            result: T = self.helper.call(_on_store, function, self._url, arguments, keywords, user=self.owner)
        return result

    @property
    def _url(self) -> str:
        return self.store.url.render_as_string(hide_password=False)


def _count_runs(spec: Mapping[str, Any], policy: SubmissionPolicy) -> int:
    return count_runs(parse_within_policy(spec, policy))


def _submit(
    url: str,
    spec: Mapping[str, Any],
    idempotency_key: str | None,
    priority: int,
    who: tuple[SubmissionPolicy, str, bool],
) -> JobId:
    return Service(_store(url), *who).submit(spec, idempotency_key=idempotency_key, priority=priority)


def _check_timed(plans: list[RunPlan], policy: SubmissionPolicy | None) -> tuple[list[RunFacts], float]:
    """Facts of runs, and the seconds that it took."""
    start = time.perf_counter()
    return check_within_policy(plans, policy), time.perf_counter() - start


def _evaluate(url: str, request: EvaluationRequest, policy: SubmissionPolicy) -> Evaluation:
    return evaluate(_store(url), request, policy, tell)


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
