"""A store as a person at a notebook sees it, on this machine or on a server: jobs, runs with network and champion,
curves, queries, comparisons."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from evornn.service.interface import ServiceInterface, StoreInterface
from evornn.service.reading.comparison_data import resolve_job
from evornn.service.reading.tail import START, Cursor, JobUpdate, follow
from evornn.service.tuning.session import Tuning
from evornn.store.records import JobId, RunId, StoredJob, StoredRun

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.arrays import Genome
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.networks.network import Network
    from evornn.service.reading.saved_network import SavedNetwork
    from evornn.tasks.core.task import Data
    from evornn.training.records import Result, Row


@dataclass(frozen=True)
class RunResults:
    """One run of the store."""

    service: ServiceInterface
    record: StoredRun

    @cached_property
    def data(self) -> Data:
        """The task's data, loaded anew on this machine."""
        from evornn.experiments.execute import load_task

        return load_task(self.record.fragments["task"])[1]

    @cached_property
    def model(self) -> SavedNetwork:
        """Champion and design, to be written to a file; raises NotFound while the run has not succeeded."""
        from evornn.service.reading.saved_network import SavedNetwork

        return SavedNetwork(self.service.design(self.record.id), self.genome)

    @cached_property
    def network(self) -> Network:
        """The run's network, to be evaluated on this machine's CPU."""
        return self.service.design(self.record.id).build()

    @property
    def genome(self) -> Genome:
        """[n] the champion; raises NotFound while the run has not succeeded."""
        return self.service.store.champion(self.record.id)

    @property
    def result(self) -> Result:
        """Losses, cost, environment; raises NotFound while the run has not succeeded."""
        return self.service.store.result(self.record.id)

    def curve(self) -> DataFrame:
        """One line per budget mark."""
        return frame(self.service.store.curve(self.record.id))


class Results:
    """An open store, or a connection to a server; use it in a `with`, or close it."""

    def __init__(self, service: ServiceInterface) -> None:
        self.service = service

    @property
    def store(self) -> StoreInterface:
        """What is asked without a frame around it."""
        return self.service.store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.store.close()

    def close(self) -> None:
        self.store.close()

    def submit(
        self, spec: Mapping[str, Any] | str | Path, *, idempotency_key: str | None = None, priority: int = 0
    ) -> JobId:
        """Queue a spec (plain data, or a file's path) for whatever dispatcher there is. The same key again answers the
        same job. Raises EvornnError, Conflict."""
        return self.service.submit(_load_spec(spec), idempotency_key=idempotency_key, priority=priority)

    def tune(self, spec: Mapping[str, Any] | str | Path) -> JobId:
        """Search the ranges of a spec, then run every method untuned and tuned, by whatever dispatcher there is, and
        wait for it. Answers the job of that comparison. Asked again, it goes on where it stopped. Raises EvornnError,
        also when runs are cancelled meanwhile."""
        tuning = Tuning(self.service, _load_spec(spec))
        for job in tuning.jobs():
            deque(self.follow(job), maxlen=0)
        deque(self.follow(tuning.comparison()), maxlen=0)
        return tuning.comparison()

    def follow(self, job: JobId, since: Cursor = START) -> Iterator[JobUpdate]:
        """What happens to a job, once a second, until it has ended."""
        return follow(self.store, job, since)

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queued runs end at once, running ones within seconds. Answers how many. Raises NotFound."""
        return self.store.cancel(job=job, run=run)

    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Failed runs wait to be started again from nothing. Answers how many. Raises NotFound."""
        return self.store.retry(job=job, run=run)

    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Failed, cancelled and abandoned runs wait to go on from their checkpoints. Answers how many. Raises
        NotFound."""
        return self.store.resume(job=job, run=run)

    def jobs(self) -> list[StoredJob]:
        """Submitted specs, newest first."""
        return self.store.jobs()

    def runs(self, job: JobId | None = None) -> DataFrame:
        """All runs (of a job), one line each."""
        from pandas import DataFrame

        return DataFrame([asdict(run) for run in self.store.runs(job=job, order="id")])

    def run(self, number: RunId) -> RunResults:
        """One run; raises NotFound."""
        return RunResults(self.service, self.store.run(number))

    def query(self, sql: str) -> DataFrame:
        """Read-only SQL on the documented views (docs/reference/store.md)."""
        from pandas import DataFrame

        columns, rows = self.store.query(sql)
        return DataFrame(rows, columns=columns)

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        """The comparison of a job's runs, by default of the newest job; or of these runs, of whatever jobs."""
        return self.service.compare(job, runs)

    def report(self, path: str | Path, job: JobId | None = None) -> Path:
        """The comparison as one HTML file."""
        from evornn.experiments.reporting.report import write_page

        return write_page(path, self.service.report(resolve_job(self.store, job)))


def _load_spec(spec: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """Plain data as it is, a file as what it says."""
    from evornn.experiments.yaml import read

    return read(spec) if isinstance(spec, (str, Path)) else spec


def frame(rows: list[Row]) -> DataFrame:
    """Rows of a curve, the searcher's own numbers (sigma, …) as further columns."""
    from pandas import DataFrame

    return DataFrame([{**(flat := asdict(row)), **flat.pop("extra")} for row in rows])
