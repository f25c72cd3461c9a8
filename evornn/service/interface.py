"""The form of what people ask of evornn, the same for a store of this machine and for a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from evornn.store.filters import JobQuery, RunQuery, keywords_of
from evornn.store.records import Event, JobId, LogLine, RunId, StoredJob, StoredRun, Token, Worker

if TYPE_CHECKING:
    from evornn.arrays import Genome
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.service.reading.saved_network import Design
    from evornn.service.tuning.session import TuningStep
    from evornn.training.records import Result, Row


class StoreInterface(Protocol):
    """What `Store` answers and changes by itself; `evornn.store.store` says what each method does and raises."""

    @property
    def display_url(self) -> str:
        """A URL for people, without its password."""

    @keywords_of(JobQuery)
    def jobs(self, query: JobQuery) -> list[StoredJob]: ...

    def job(self, job: JobId) -> StoredJob: ...

    def spec(self, job: JobId) -> dict[str, Any]: ...

    @keywords_of(RunQuery)
    def runs(self, query: RunQuery) -> list[StoredRun]: ...

    def run(self, run: RunId) -> StoredRun: ...

    def curve(self, run: RunId) -> list[Row]: ...

    def curves(self, ids: Sequence[RunId]) -> dict[RunId, list[Row]]: ...

    def champion(self, run: RunId) -> Genome: ...

    def result(self, run: RunId) -> Result: ...

    def events(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[Event]: ...

    def logs(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[LogLine]: ...

    def workers(self) -> list[Worker]: ...

    def query(self, sql: str, limit: int = 1000, timeout: float = 5.0) -> tuple[list[str], list[list[Any]]]: ...

    def cancel(self, *, job: JobId | None = None, run: RunId | None = None) -> int: ...

    def retry(self, *, job: JobId | None = None, run: RunId | None = None) -> int: ...

    def resume(self, *, job: JobId | None = None, run: RunId | None = None) -> int: ...

    def add_token(self, name: str, scopes: Iterable[str]) -> str: ...

    def tokens(self) -> list[Token]: ...

    def revoke_token(self, name: str) -> None: ...

    def close(self) -> None: ...


class ServiceInterface(Protocol):
    """A store, and what needs more than one."""

    @property
    def store(self) -> StoreInterface: ...

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        """Queue a spec's runs, all of them checked before. Raises EvornnError; Conflict for a key that was used for
        another spec."""

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        """The job that the tuning of a spec with ranges goes on with, to be worked off before this is asked again; the
        same one until then. Raises EvornnError, also for runs that were cancelled: asked once more, they go on."""

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        """The comparison of a job's runs, or of these. Raises NotFound, EvornnError while there is nothing to see."""

    def report(self, job: JobId) -> str:
        """The comparison as one HTML page. Raises as `compare`."""

    def design(self, run: RunId) -> Design:
        """How a run's network is built. Raises NotFound."""
