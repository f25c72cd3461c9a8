"""The service on a store, shared by the command line, the library and the server: submit, tune, compare, ….

The store's own methods (jobs, runs, curves, events, cancel, …) are those of `Service.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from evornn.service.datasets import SpecProposal, UploadedDataset, check_upload, propose_spec, save_upload
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.evaluations import Evaluation, evaluate, key_of, render
from evornn.service.expansion import ExpandedSpec, enqueue, expand
from evornn.service.policy import SubmissionPolicy
from evornn.service.predictions import PredictionRequest, predict
from evornn.service.reading.comparison_data import ComparisonData, resolve_job, unique_run_ids
from evornn.service.reading.design import Design, design_of
from evornn.service.reading.evaluation import check_identities, evaluation_of
from evornn.service.reading.figures import ComparisonFigures, NetworkFigures, draw_comparison, draw_network
from evornn.service.reading.model import load_model, new_model
from evornn.service.tuning.session import TuningSessions
from evornn.service.tuning.step import TuningStep
from evornn.store.actors import local_actor
from evornn.store.records import JobId, ModelVersion, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.experiments.own_data import OwnData
    from evornn.models.standalone import StandaloneModel

RESUMABLE = ("queued", "running", "failed", "cancelled")  # all that may be computed from now on
P = ParamSpec("P")
T = TypeVar("T")


class Service:
    """`ServiceInterface` on a store.

    Args:
        store: The store.
        policy: What specs may name; None: anything.
        owner: User of the jobs.
        limited: Whether the owner's quota holds.
    """

    def __init__(
        self, store: Store, policy: SubmissionPolicy | None = None, owner: str = "", limited: bool = True
    ) -> None:
        self.store, self.policy, self.owner, self.limited = store, policy, owner, limited
        self._sessions = TuningSessions(store)
        self._last_evaluation: tuple[str, Evaluation] | None = None

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        """Check all runs of a spec, then queue them.

        Args:
            spec: The spec as plain data.
            idempotency_key: The same key and spec return the same job again.
            priority: Runs with a larger one are claimed first.

        Returns:
            Number of the job.

        Raises:
            EvornnError: The spec is wrong.
            Conflict: The key was used for another spec.
            QuotaExceeded: The owner has too many queued runs, or may not use this priority.
        """
        expanded = self.expand(spec)
        return enqueue(
            self.store, spec, expanded, idempotency_key, owner=self.owner, priority=priority, limited=self.limited
        )

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        """The next job of the tuning of a spec with ranges. Raises EvornnError."""
        return self._sessions.step(spec, self.policy, self.owner)

    def expand(self, spec: Mapping[str, Any]) -> ExpandedSpec:
        """Expand a spec into runs and check them: data loads, network, trainer and task fit together. Raises
        EvornnError."""
        return expand(spec, self.policy)

    @property
    def actor(self) -> str:
        """Who does what this service does: its owner, or the user of this process."""
        return self.owner or local_actor()

    @property
    def _is_limited(self) -> bool:
        return self.limited and self.owner != ""

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Cancel the runs of a job, or one run. Returns how many. Raises NotFound."""
        return self.store.cancel(job, run=run, actor=self.actor)

    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run. Raises NotFound; EvornnError if their
        data have changed."""
        self.call(check_identities, job, run, RESUMABLE)
        return self.store.resume(job, run=run, actor=self.actor, limited=self._is_limited)

    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed runs of a job, or one run, to start over. Raises the same as `resume`."""
        self.call(check_identities, job, run, ("failed",))
        return self.store.retry(job, run=run, actor=self.actor, limited=self._is_limited)

    def save_upload(self, name: str, content: bytes) -> UploadedDataset:
        """Save a file that the owner has uploaded. Raises the same as `datasets.save_upload`."""
        count = partial(self.store.count_upload, self.owner, limited=self.limited) if self.owner else None
        return save_upload(self.policy or SubmissionPolicy(), name, content, count, self._check_upload)

    def uploads(self) -> list[str]:
        """Names of the data sets that the owner has uploaded and that are still there."""
        folder = None if self.policy is None else self.policy.data
        return [name for name in self.store.uploads(self.owner) if folder is not None and (folder / name).is_file()]

    def _check_upload(self, name: str, content: bytes) -> UploadedDataset:
        return check_upload(name, content)

    def propose_spec(self, own: OwnData) -> SpecProposal:
        """What is understood of a data set that was uploaded, and a spec. Raises EvornnError."""
        return self.call(propose_spec, own, self.policy or SubmissionPolicy())

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        """Compare the runs of a job, by default of the newest one; or `runs`. Raises NotFound, EvornnError."""
        return self.call(compare_runs, job, tuple(runs))

    def report(self, job: JobId) -> str:
        """The comparison of a job as one HTML page. Raises the same as `compare`."""
        return self.call(render_report, job)

    def design(self, run: RunId) -> Design:
        """How a run's network is built. Raises NotFound."""
        return self.call(load_design, run)

    def model(self, run: RunId) -> StandaloneModel:
        """The champion of a finished run as a model that stands alone. Raises NotFound."""
        from evornn.models.standalone import StandaloneModel

        return StandaloneModel.from_bytes(self.call(load_model, run), trusted=True)

    def register_model(self, name: str, source: RunId | bytes, *, note: str = "") -> ModelVersion:
        """Keep the champion of a run, or a file, as the next version of a model. Raises NotFound, EvornnError,
        Conflict, QuotaExceeded."""
        model = self.call(new_model, source)
        run = source if isinstance(source, int) else None
        return self.store.register_model(name, model, run=run, note=note, owner=self.owner, limited=self.limited)

    def predict(self, request: PredictionRequest) -> list[dict[str, Any]]:
        """Answers of a registered model. Raises NotFound, EvornnError."""
        return self.call(predict, request).rows

    def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The report of a registered model on data that have the true answers; the last one is kept. Raises NotFound,
        EvornnError."""
        policy = self.policy or SubmissionPolicy()
        key = key_of(self.store, request, policy)
        if self._last_evaluation is None or self._last_evaluation[0] != key:
            self._last_evaluation = key, evaluate(self.store, request, policy)
        return self._last_evaluation[1]

    def render_evaluation(self, evaluation: Evaluation) -> str:
        """The page of `evornn evaluate --report`. Raises NotFound if the version was deleted."""
        return render(self.store, evaluation)

    def report_model(self, request: EvaluationRequest, as_page: bool = False) -> bytes:
        """`evaluate` as JSON, or as a page of HTML. Raises the same."""
        evaluation = self.evaluate(request)
        return self.render_evaluation(evaluation).encode("utf-8", "replace") if as_page else evaluation.to_json()

    def draw_comparison(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> ComparisonFigures:
        """`compare`, with the charts of the report. Raises the same."""
        return self.call(draw_comparison, job, tuple(runs))

    def draw_network(self, run: RunId) -> NetworkFigures | None:
        """Charts of a run's champion so far; None before its first mark. Raises NotFound."""
        return self.call(draw_network, run)

    def call(self, function: Callable[Concatenate[Store, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Call `function(store, …)`: here, or in a subclass in another process. So it must be a function of a module,
        and its arguments plain data."""
        return function(self.store, *arguments, **keywords)


def submit(store: Store, data: Mapping[str, Any], idempotency_key: str | None = None) -> JobId:
    """Check all runs of a spec, then queue them.

    Args:
        store: The store.
        data: The spec as plain data.
        idempotency_key: The same key and spec return the same job again.

    Returns:
        Number of the job.

    Raises:
        EvornnError: The spec is wrong.
        Conflict: The key was used for another spec.
    """
    return Service(store).submit(data, idempotency_key=idempotency_key)


def compare_runs(store: Store, job: JobId | None, runs: Sequence[RunId]) -> Comparison:
    """Compare runs.

    Args:
        store: The store.
        job: Compare the runs of this job; None: of the newest one.
        runs: Compare these runs instead, of any jobs.

    Raises:
        NotFound: There is no such job or run.
        EvornnError: There is nothing to compare yet.
    """
    if runs:
        return ComparisonData(store, run_ids=unique_run_ids(runs)).comparison
    return ComparisonData(store, resolve_job(store, job)).comparison


def render_report(store: Store, job: JobId) -> str:
    """The comparison of a job as one HTML page. Raises NotFound, EvornnError."""
    return ComparisonData(store, store.job(job).id).page(store.display_url)


def load_design(store: Store, run: RunId) -> Design:
    """How a run's network is built: its fragment, and the sizes of its task. Raises NotFound."""
    record = store.run(run)
    return design_of(record, evaluation_of(store, record, with_test=False))
