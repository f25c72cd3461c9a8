"""The data of a comparison, read from a store: frames of runs and curves, baselines, forecasts of the best networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evornn.errors import EvornnError
from evornn.experiments.analysis.compare import ERRORS, Baselines, compare
from evornn.experiments.analysis.comparison import Comparison, TaskComparison
from evornn.experiments.analysis.narrative import plural
from evornn.experiments.reporting.charts import ForecastLines
from evornn.experiments.reporting.report import report
from evornn.service.interface import StoreInterface
from evornn.service.reading.evaluation import evaluation_of
from evornn.service.reading.labels import Labels, distinct_labels
from evornn.service.tuning.summary import summarize_tuning
from evornn.store.records import JobId, RunId, StoredRun
from evornn.store.store import Store
from evornn.tasks.core.task import EvaluationData, Sequences
from evornn.trainers import TRAINERS

if TYPE_CHECKING:
    from pandas import DataFrame

FIELDS = (
    "task",
    "network",
    "trainer",
    "seed",
    "state",
    "train_loss",
    "valid_loss",
    "test_loss",
    "network_steps",
    "evaluations",
)
MOST_COMPARED = 10_000  # runs
EXTRA_FIELDS = (
    "updates",
    "seconds",
    "stopped_by",
    "hits",
    "score",
    "test_score",
    "solved",
    *ERRORS,
    "forecast_errors",
    "error",
)


@dataclass(frozen=True)
class ComparisonData:
    """The data of one job, or of chosen runs of any jobs; read when first used.

    Args:
        store: Where they are.
        job: All runs of this job, or
        run_ids: these runs.
    """

    store: Store
    job: JobId | None = None
    run_ids: tuple[RunId, ...] = ()

    @cached_property
    def runs(self) -> list[StoredRun]:
        """The runs, in any state. Raises NotFound."""
        if self.job is None:
            return self.store.runs_by_id(self.run_ids)
        return self.store.runs(job=self.job, order="id")

    @cached_property
    def labels(self) -> dict[RunId, Labels]:
        """Names of each run's task, network and trainer, equal only where settings and data are equal."""
        return distinct_labels(self.runs)

    @cached_property
    def comparison(self) -> Comparison:
        """The comparison of the runs. Raises EvornnError while there is nothing to compare."""
        comparison = compare(self.run_frame, self.curve_frame, self.families, self.baselines)
        comparison = replace(comparison, notes=(*comparison.notes, *self._data_notes()))
        return comparison if self.job is None else replace(comparison, tuned=summarize_tuning(self.store, self.job))

    def page(self, database: str) -> str:
        """The HTML report of the job; `database` is the store's URL to print."""
        assert self.job is not None
        return report(
            self.comparison,
            self.run_frame,
            self.curve_frame,
            baselines=self.baselines,
            forecasts=self.forecasts(),
            spec=self.store.spec(self.job),
            environment=self.environment,
            database=database,
            title=f"{self.store.job(self.job).experiment} (job {self.job})",
            sources={task: data.note for task, data in self.data.items() if data.note},
        )

    @cached_property
    def run_frame(self) -> DataFrame:
        """A row per run, for `compare`."""
        from pandas import DataFrame

        return DataFrame([self._row(run) for run in self.runs])

    def _row(self, run: StoredRun) -> dict[str, Any]:
        values = {field: getattr(run, field) for field in (*FIELDS, *EXTRA_FIELDS)}
        return {"run": run.id, "n": run.parameters, **values, **asdict(self.labels[run.id])}

    @cached_property
    def curve_frame(self) -> DataFrame:
        """A row per run and budget mark, for `compare`. Raises EvornnError if there is none."""
        from pandas import DataFrame

        curves = self.store.curves([run.id for run in self.runs])
        rows = [{"run": run, **asdict(row)} for run, points in curves.items() for row in points]
        if not rows:
            raise EvornnError(self._empty_reason())
        return DataFrame(rows).drop(columns="extra")

    def _empty_reason(self) -> str:
        """Why there is nothing to compare, and what to do."""
        if self.runs and all(run.state == "failed" for run in self.runs):
            if self.job is None:
                return "all of these runs failed: `evornn show RUN` says why"
            return f"all runs failed: `evornn ls {self.job}` says why; once that is fixed, `evornn retry {self.job}`"
        what = "these runs have" if self.job is None else f"job {self.job} has"
        go_on = "" if self.job is None else f", or `evornn resume {self.job}`"
        return f"{what} no progress yet: wait for its first runs{go_on}"

    @property
    def families(self) -> dict[str, str]:
        """Label of a trainer → gradient, evolution, hybrid or guessing."""
        return {self.labels[run.id].trainer: TRAINERS[run.fragments["trainer"]["kind"]].family for run in self.runs}

    @cached_property
    def data(self) -> dict[str, EvaluationData]:
        """Name of a task → what judges its runs. Tasks of which nothing was kept and whose data are missing, or are no
        longer those that the runs saw, are left out; their runs can be compared anyway."""
        return {task: data for task, data in self._data_or_problem.items() if isinstance(data, EvaluationData)}

    @cached_property
    def _data_or_problem(self) -> dict[str, EvaluationData | str]:
        """Name of a task → what judges its runs, or why that is unknown."""
        known: dict[str, EvaluationData | str] = {}
        for run in self.runs:
            if (name := self.labels[run.id].task) not in known:
                try:
                    known[name] = evaluation_of(self.store, run)
                except EvornnError as error:
                    known[name] = str(error)
        return known

    @property
    def baselines(self) -> Baselines:
        """Name of a task → its baselines, where these are judged by the loss that the runs have."""
        return {task: data.baselines for task, data in self.data.items() if task not in self._other_losses}

    @cached_property
    def _other_losses(self) -> dict[str, str]:
        """Name of a task → the loss of its runs, where that is not the task's own."""
        losses = {self.labels[run.id].task: run.fragments.get("loss") for run in self.runs}
        return {
            task: loss for task, loss in losses.items() if loss and task in self.data and loss != self.data[task].loss
        }

    def _data_notes(self) -> list[str]:
        """What a reader must know of the tasks' data and of baselines that are not shown."""
        missing = [
            f"{task}: {problem}, so no baseline is shown."
            for task, problem in self._data_or_problem.items()
            if isinstance(problem, str)
        ]
        other = [
            f"{task}: its runs have the loss {loss}, its baselines {self.data[task].loss}; these are not shown."
            for task, loss in self._other_losses.items()
            if self.data[task].baselines
        ]
        unknown = sum(run.data_digest is None for run in self.runs)
        old = [f"Data not recorded for {plural(unknown, 'run')} of an earlier version of evornn."] if unknown else []
        warnings = [f"{task}: {data.warning}" for task, data in self.data.items() if data.warning]
        return [*warnings, *missing, *other, *old, *self._regularisation_notes()]

    def _regularisation_notes(self) -> list[str]:
        """Which trainers had a regularisation."""
        known = {self.labels[run.id].trainer: run.fragments.get("regularisation") or {} for run in self.runs}
        by_settings: dict[str, list[str]] = {}
        for trainer, settings in known.items():
            said = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in settings.items() if value)
            by_settings.setdefault(said, []).append(trainer)
        return [
            f"Trained with {said}: {', '.join(trainers)}. All losses are without."
            for said, trainers in by_settings.items()
            if said
        ]

    @property
    def environment(self) -> dict[str, Any]:
        """Versions and machine of the first finished run, and how many runs differ from it."""
        environments = [self.store.result(run.id).environment for run in self.runs if run.state == "succeeded"]
        if not environments:
            return {}
        different = sum(other != environments[0] for other in environments)
        return {**environments[0], **({"runs on another machine or version": different} if different else {})}

    def forecasts(self) -> dict[str, ForecastLines]:
        """Label of a task → forecasts of the network chosen on validation data, and of the best one of each family."""
        forecasts = {}
        for task in self.comparison.tasks:
            data = self.data.get(task.task)
            if data is not None and data.chart is not None and data.test is not None and task.chosen is not None:
                forecasts[task.task] = self._forecast(task, data)
        return forecasts

    def _forecast(self, task: TaskComparison, data: EvaluationData) -> ForecastLines:
        assert data.chart is not None and task.chosen is not None
        done = [
            r
            for r in self.runs
            if self.labels[r.id].task == task.task and r.state == "succeeded" and r.valid_loss is not None
        ]
        done.sort(key=lambda run: float(run.valid_loss or 0.0))
        best = {self.families[self.labels[run.id].trainer]: run for run in reversed(done)}
        order = [next(r for r in done if r.id == task.chosen.run), *best.values()]
        chosen = {run.id: run for run in order}.values()
        labels = {f"{self.labels[r.id].network}, {self.labels[r.id].trainer}, seed {r.seed}": r for r in chosen}
        predictions = {label: data.chart.inverse_transform(self._predict(run, data)) for label, run in labels.items()}
        trainers = {label: self.labels[run.id].trainer for label, run in labels.items()}
        return ForecastLines(data.chart, predictions, trainers)

    def _predict(self, run: StoredRun, data: EvaluationData) -> Any:
        """[B, O] predictions at the last step of each test sequence that counts."""
        from evornn.experiments.execute import build_network_for  # and torch, which a page without forecasts needn't
        from evornn.training.sequence_problem import last_outputs

        fragments: Mapping[str, Any] = {**run.fragments, "resources": {}}
        network = build_network_for(fragments, data)
        assert isinstance(data.test, Sequences)
        return last_outputs(network, self.store.champion(run.id), data.test)


def unique_run_ids(runs: Sequence[RunId]) -> tuple[RunId, ...]:
    """Drop repeated runs. Raises EvornnError if they are too many to compare."""
    if len(runs) > MOST_COMPARED:
        raise EvornnError(f"{len(runs):,} runs to compare: name at most {MOST_COMPARED:,}")
    return tuple(dict.fromkeys(runs))


def resolve_job(store: StoreInterface, job: int | None) -> JobId:
    """The number of a job, by default of the newest one. Raises NotFound, EvornnError for an empty store."""
    if job is not None:
        return store.job(job).id
    jobs = store.jobs(limit=1)
    if not jobs:
        raise EvornnError("the store has no job yet: start one with `evornn run SPEC`")
    return jobs[0].id
