"""A store as a person at a notebook sees it: jobs, runs with network and champion, curves, queries, comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from evornn.service.comparing import Comparing
from evornn.service.service import chosen_job
from evornn.store.records import StoredJob, StoredRun
from evornn.store.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.arrays import Genome
    from evornn.experiments.comparison import Comparison
    from evornn.networks.network import Network
    from evornn.tasks.task import Data
    from evornn.training.records import Result, Row


@dataclass(frozen=True)
class RunResults:
    """One run of the store."""

    store: Store
    record: StoredRun

    @cached_property
    def data(self) -> Data:
        """The task's data, loaded anew."""
        from evornn.experiments.execute import load

        return load(json.dumps(self.record.fragments["task"], sort_keys=True))[1]

    @cached_property
    def network(self) -> Network:
        """The run's network, to be evaluated on this machine's CPU."""
        from evornn.experiments.execute import network_for

        return network_for({**self.record.fragments, "resources": {}}, self.data)

    @property
    def genome(self) -> Genome:
        """[n] the champion; raises NotFound while the run has not succeeded."""
        return self.store.champion(self.record.id)

    @property
    def result(self) -> Result:
        """Losses, cost, environment; raises NotFound while the run has not succeeded."""
        return self.store.result(self.record.id)

    def curve(self) -> DataFrame:
        """One line per budget mark."""
        return frame(self.store.curve(self.record.id))


class Results:
    """An open store; use it in a `with`, or close it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.store.close()

    def close(self) -> None:
        self.store.close()

    def jobs(self) -> list[StoredJob]:
        """Submitted specs, newest first."""
        return self.store.jobs()

    def runs(self, job: int | None = None) -> DataFrame:
        """All runs (of a job), one line each."""
        from pandas import DataFrame

        return DataFrame([asdict(run) for run in self.store.runs(job=job, order="id")])

    def run(self, number: int) -> RunResults:
        """One run; raises NotFound."""
        return RunResults(self.store, self.store.run(number))

    def query(self, sql: str) -> DataFrame:
        """Read-only SQL on the documented views (docs/store.md)."""
        from pandas import DataFrame

        columns, rows = self.store.query(sql)
        return DataFrame(rows, columns=columns)

    def compare(self, job: int | None = None) -> Comparison:
        """The comparison of a job's runs; by default of the newest job."""
        return Comparing(self.store, chosen_job(self.store, job)).comparison

    def report(self, path: str | Path, job: int | None = None) -> Path:
        """The comparison as one HTML file."""
        return Comparing(self.store, chosen_job(self.store, job)).report(path, self.store.where)


def frame(rows: list[Row]) -> DataFrame:
    """Rows of a curve, the searcher's own numbers (sigma, …) as further columns."""
    from pandas import DataFrame

    return DataFrame([{**(flat := asdict(row)), **flat.pop("extra")} for row in rows])
