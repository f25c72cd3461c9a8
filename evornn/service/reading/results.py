"""A store as seen from a notebook, on this machine or on a server: jobs, runs with network and champion, curves,
queries, comparisons."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from evornn import files
from evornn.cards import card, curve
from evornn.experiments.analysis.comparison import Comparison
from evornn.experiments.analysis.narrative import summary
from evornn.models.answers import answer
from evornn.service.interface import ServiceInterface, StoreInterface
from evornn.service.reading.comparison_data import resolve_job
from evornn.service.reading.tail import START, Cursor, JobUpdate, follow
from evornn.service.tuning.session import Tuning
from evornn.store.records import JobId, ModelVersion, RunId, StoredJob, StoredRun
from evornn.store.registry import MOST_BYTES

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.arrays import Genome
    from evornn.models.standalone import StandaloneModel
    from evornn.networks.network import Network
    from evornn.service.evaluation_request import EvaluationRequest
    from evornn.service.predictions import Rows
    from evornn.tasks.core.task import Data
    from evornn.training.records import Result, Row


@dataclass(frozen=True)
class RunResults:
    """One run of the store."""

    service: ServiceInterface
    record: StoredRun

    @cached_property
    def data(self) -> Data:
        """The task's data, loaded on this machine. Raises EvornnError if they are not those of the run."""
        from evornn.service.reading.evaluation import load_data_of

        return load_data_of(self.record)

    @cached_property
    def model(self) -> StandaloneModel:
        """The champion as a model that stands alone, to use or to write to a file. Raises NotFound until the run has
        succeeded."""
        return self.service.model(self.record.id)

    @cached_property
    def network(self) -> Network:
        """The run's network, which computes on this machine's CPU."""
        return self.service.design(self.record.id).build()

    @property
    def genome(self) -> Genome:
        """The champion [n]. Raises NotFound until the run has succeeded."""
        return self.service.store.champion(self.record.id)

    @property
    def result(self) -> Result:
        """Losses, cost and environment. Raises NotFound until the run has succeeded."""
        return self.service.store.result(self.record.id)

    def predict(self, source: Any, *, next: int | None = None, coverage: float | None = None) -> Any:
        """The champion's answers: see `evornn.models.answers.answer`. Raises NotFound until the run has succeeded."""
        return answer(self, source, next, coverage)

    def curve(self) -> DataFrame:
        """One row per budget mark."""
        return frame(self.service.store.curve(self.record.id))

    def __repr__(self) -> str:
        r = self.record
        return f"<RunResults {r.id}: {r.task}, {r.network}, {r.trainer}, seed {r.seed}, {r.state}>"

    def _repr_html_(self) -> str:
        r = self.record
        facts: dict[str, Any] = {"experiment": r.experiment, "task": r.task, "network": r.network, "trainer": r.trainer}
        facts |= {"seed": str(r.seed), "state": r.state, "error": r.error}
        losses = {"validation loss": r.champion_valid, "test loss": r.test_loss, "score on test": r.test_score}
        rows = self.service.store.curve(r.id)
        picture = curve([row.champion_valid for row in rows], "validation loss of the champion, mark by mark")
        return card(f"run {r.id}", {**facts, **losses}, picture)


@dataclass(frozen=True, repr=False)
class ComparisonInWords(Comparison):
    """A comparison that shows its answers."""

    def __repr__(self) -> str:
        return "\n".join(summary(self))

    def _repr_html_(self) -> str:
        return card("Comparison", {}, "".join(f"<p>{escape(line)}</p>" for line in summary(self)))


class Results:
    """An open store, or a connection to a server. Use it in a `with` statement, or close it."""

    def __init__(self, service: ServiceInterface) -> None:
        self.service = service

    @property
    def store(self) -> StoreInterface:
        """The store itself, whose methods return records instead of frames."""
        return self.service.store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.store.close()

    def close(self) -> None:
        """Close the store or the connection."""
        self.store.close()

    def __repr__(self) -> str:
        jobs = self.jobs()
        return f"<Results of {self.store.display_url}: {len(jobs)} job{'s' * (len(jobs) != 1)}>"

    def _repr_html_(self) -> str:
        from pandas import DataFrame

        newest = [{"job": j.id, "experiment": j.experiment, "state": j.state} for j in self.jobs()[:10]]
        return card(repr(self).strip("<>"), {}, DataFrame(newest).to_html(index=False, border=0))

    def submit(
        self, spec: Mapping[str, Any] | str | Path, *, idempotency_key: str | None = None, priority: int = 0
    ) -> JobId:
        """Queue the runs of a spec; dispatchers of the store compute them.

        Args:
            spec: Plain data, or the path of a YAML or JSON file.
            idempotency_key: The same key and spec return the same job again.
            priority: Runs with a larger one are computed first.

        Returns:
            Number of the job.

        Raises:
            EvornnError: The spec is wrong.
            Conflict: The key was used for another spec.
        """
        return self.service.submit(_load_spec(spec), idempotency_key=idempotency_key, priority=priority)

    def tune(self, spec: Mapping[str, Any] | str | Path) -> JobId:
        """Search the ranges of a spec, then run every method untuned and tuned, and wait until it is done. Dispatchers
        of the store compute the runs. A repeated call resumes where the last one stopped.

        Returns the job of the comparison. Raises EvornnError if the spec is wrong or runs are cancelled meanwhile."""
        tuning = Tuning(self.service, _load_spec(spec))
        for job in tuning.jobs():
            deque(self.follow(job), maxlen=0)
        deque(self.follow(tuning.comparison()), maxlen=0)
        return tuning.comparison()

    def follow(self, job: JobId, since: Cursor = START) -> Iterator[JobUpdate]:
        """Updates of a job, one per second, until it has finished. Raises NotFound."""
        return follow(self.store, job, since)

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Cancel the runs of a job, or one run: queued runs at once, running ones within seconds. Returns how many.
        Raises NotFound."""
        return self.service.cancel(job, run=run)

    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed runs of a job, or one run, to start over. Returns how many. Raises NotFound; EvornnError if
        data or code have changed since they were submitted."""
        return self.service.retry(job, run=run)

    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run, to resume from their checkpoints.
        Returns how many are queued. Raises NotFound; EvornnError if data or code have changed since they were
        submitted."""
        return self.service.resume(job, run=run)

    def jobs(self) -> list[StoredJob]:
        """Submitted specs, newest first."""
        return self.store.jobs()

    def runs(self, job: JobId | None = None) -> DataFrame:
        """All runs, or those of a job, one row each."""
        from pandas import DataFrame

        return DataFrame([asdict(run) for run in self.store.runs(job=job, order="id")])

    def run(self, number: RunId) -> RunResults:
        """One run. Raises NotFound."""
        return RunResults(self.service, self.store.run(number))

    def models(self, name: str | None = None) -> list[ModelVersion]:
        """The versions of all registered models, or of one, newest first."""
        return self.store.models(name=name)

    def model(self, reference: str, trusted: bool = False) -> StandaloneModel:
        """A registered model, to use here.

        Args:
            reference: NAME (its newest version), NAME@ALIAS or NAME:VERSION.
            trusted: Whether code of one's own that it names as its network may be imported.

        Raises:
            NotFound: There is no such version.
        """
        from evornn.models.standalone import StandaloneModel

        return StandaloneModel.from_bytes(self.store.model_file(reference), reference, trusted)

    def register_model(self, name: str, source: RunId | str | Path, note: str = "") -> ModelVersion:
        """Keep a model as the next version of a name.

        Args:
            name: Of the model.
            source: The number of a run that has succeeded, or the path of a .safetensors file.
            note: What people should know of it.

        Raises:
            EvornnError: The name is no word, the file can't be read, or is no model.
            NotFound: There is no such run, or it has no result.
            Conflict: The name belongs to somebody else.
        """
        content = source if isinstance(source, int) else files.read(Path(source), MOST_BYTES)
        return self.service.register_model(name, content, note=note)

    def predict(
        self,
        reference: str,
        rows: Rows,
        *,
        next: int | None = None,
        coverage: float | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Answers of a registered model to records or columns, computed by the server if the store is one's: see
        `ServiceInterface.predict`. `model` gives the model itself."""
        from evornn.service.predictions import PredictionRequest

        request = PredictionRequest(reference, rows, next, coverage, temperature=temperature, seed=seed)
        return self.service.predict(request)

    def evaluate(self, reference: str, rows: Rows | str | Path, *, report: str | Path | None = None) -> dict[str, Any]:
        """How good a registered model is on rows that have the true answers, computed where the store is.

        Args:
            reference: NAME (its newest version), NAME@ALIAS or NAME:VERSION.
            rows: As `predict` takes them, or the path of a file: a table, or for a model of a text a text.
            report: HTML page to write.

        Returns:
            `measures`, and the numbers of all charts of the page; None for what is not known.

        Raises:
            NotFound: There is no such version.
            EvornnError: As `predict`; no true answer is there, or a file can't be read or written.
        """
        from evornn.experiments.reporting.report import write_page

        request = self._evaluation(reference, rows)
        told: dict[str, Any] = json.loads(self.service.report_model(request))["report"]
        if report is not None:
            write_page(report, self.service.report_model(request, as_page=True).decode())
        return told

    def _evaluation(self, reference: str, rows: Rows | str | Path) -> EvaluationRequest:
        from evornn.service.evaluation_request import EvaluationRequest

        if not isinstance(rows, str | Path):
            return EvaluationRequest(reference, rows)
        is_text = self.store.model(reference).question == "language"
        content = files.read(Path(rows))
        name = re.sub(r"[^\w .()+-]", "_", Path(rows).name)[:100]
        return EvaluationRequest(reference, content, None, "text" if is_text else "csv", name)

    def query(self, sql: str) -> DataFrame:
        """Read-only SQL on the documented views (docs/reference/store.md)."""
        from pandas import DataFrame

        columns, rows = self.store.query(sql)
        return DataFrame(rows, columns=columns)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> ComparisonInWords:
        """Compare the runs of a job, by default of the newest one; or `runs` of any jobs."""
        return ComparisonInWords(**vars(self.service.compare(job, runs)))

    def report(self, path: str | Path, job: JobId | None = None) -> Path:
        """Write the comparison of a job, by default of the newest one, as one HTML file."""
        from evornn.experiments.reporting.report import write_page

        return write_page(path, self.service.report(resolve_job(self.store, job)))


def _load_spec(spec: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """Plain data as it is; of a file, its content."""
    from evornn.experiments.yaml import read

    return read(spec) if isinstance(spec, (str, Path)) else spec


def frame(rows: list[Row]) -> DataFrame:
    """Rows of a curve as a frame; the trainer's own numbers (sigma, …) are further columns."""
    from pandas import DataFrame

    return DataFrame([{**(flat := asdict(row)), **flat.pop("extra")} for row in rows])
