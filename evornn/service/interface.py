"""The interfaces of the store and the service: the same whether the store is on this machine or behind a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from evornn.store.filters import JobQuery, ModelQuery, RunQuery, keywords_of
from evornn.store.records import (
    Event,
    JobId,
    LogLine,
    ModelVersion,
    Quota,
    RunId,
    StoredJob,
    StoredRun,
    Token,
    Worker,
)

if TYPE_CHECKING:
    from evornn.arrays import Genome
    from evornn.experiments.analysis.comparison import Comparison
    from evornn.models.standalone import StandaloneModel
    from evornn.service.evaluation_request import EvaluationRequest
    from evornn.service.predictions import PredictionRequest
    from evornn.service.reading.design import Design
    from evornn.service.tuning.step import TuningStep
    from evornn.training.records import Result, Row


class StoreInterface(Protocol):
    """The methods of `Store` that also work through a server; `RemoteStore` (`client/remote.py`) has the same."""

    @property
    def display_url(self) -> str:
        """The URL without its password."""

    @keywords_of(JobQuery)
    def jobs(self, query: JobQuery) -> list[StoredJob]:
        """The jobs that match, newest first. Raises UnknownName for an unknown state."""

    def job(self, job: JobId) -> StoredJob:
        """One job, with its runs counted by state. Raises NotFound."""

    def spec(self, job: JobId) -> dict[str, Any]:
        """The spec that was submitted. Raises NotFound."""

    @keywords_of(RunQuery)
    def runs(self, query: RunQuery) -> list[StoredRun]:
        """The runs that match. Raises UnknownName for an unknown state or column."""

    def run(self, run: RunId) -> StoredRun:
        """One run. Raises NotFound."""

    def curve(self, run: RunId) -> list[Row]:
        """The rows of a run in the order of their marks. Raises NotFound."""

    def curves(self, ids: Sequence[RunId]) -> dict[RunId, list[Row]]:
        """The rows of many runs; empty for a run that has none."""

    def champion(self, run: RunId) -> Genome:
        """The champion [n] of a finished run. Raises NotFound."""

    def result(self, run: RunId) -> Result:
        """The result of a finished run. Raises NotFound."""

    def events(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[Event]:
        """Events, oldest first.

        Args:
            job: Only those of this job.
            run: Only those of this run.
            after: Only those after the event with this number.
            limit: Maximum number of events.
        """

    def logs(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[LogLine]:
        """Log lines of runs, oldest first.

        Args:
            job: Only those of this job's runs.
            run: Only those of this run.
            after: Only those after the line with this number.
            limit: Maximum number of lines.
        """

    def workers(self) -> list[Worker]:
        """All owners of claims so far, latest heartbeat first."""

    def query(self, sql: str, limit: int = 1000, timeout: float = 5.0) -> tuple[list[str], list[list[Any]]]:
        """Run one SELECT over the views and tables of `docs/reference/store.md`.

        Args:
            sql: The SELECT.
            limit: Maximum number of rows; further ones are left out.
            timeout: Deadline in seconds.

        Returns:
            Column names, and rows of plain values.

        Raises:
            StoreError: The query is refused, fails, or takes too much time or memory.
        """

    def cancel(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        """Cancel the runs of a job, or one run. Returns how many. Raises NotFound."""

    def retry(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        """Queue the failed runs of a job, or one run, to start over. Returns how many. Raises NotFound."""

    def resume(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run, to resume from their checkpoints.
        Returns how many are queued. Raises NotFound."""

    def delete(self, job: JobId) -> int:
        """Delete a job of which no run is open, with all its data. Returns how many runs it had. Raises NotFound;
        Conflict while a run is open."""

    def archive(self, job: JobId, archived: bool = True) -> int:
        """Take a job of which no run is open out of the lists, or put it back. Returns 1, or 0 if that is so already.
        Raises NotFound; Conflict while a run is open."""

    @keywords_of(ModelQuery)
    def models(self, query: ModelQuery) -> list[ModelVersion]:
        """The versions of registered models that match, newest first."""

    def model(self, reference: str) -> ModelVersion:
        """The version that is meant by NAME (its newest one), NAME@ALIAS or NAME:VERSION. Raises NotFound."""

    def model_file(self, reference: str) -> bytes:
        """The bytes of a version's .safetensors file. Raises NotFound."""

    def set_model_alias(self, reference: str, alias: str) -> ModelVersion:
        """Let an alias mean a version from now on, whichever it meant before. Raises NotFound, EvornnError."""

    def delete_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays. Raises NotFound."""

    def delete_model(self, reference: str) -> ModelVersion:
        """Delete NAME:VERSION with its file, for ever. Raises NotFound; Conflict while an alias means it."""

    def set_quota(self, owner: str, limits: Mapping[str, int | None]) -> Quota:
        """Set limits of an owner.

        Args:
            owner: The owner; "": all who have no limit of their own.
            limits: New values of some limits; -1: no limit; None: as for all.

        Returns:
            All limits that hold for the owner from now on.

        Raises:
            UnknownName: There is no such limit.
            StoreError: A value is no limit.
        """

    def quotas(self) -> list[Quota]:
        """The limits of all, and those of owners who have their own, as they hold."""

    def add_token(self, name: str, scopes: Iterable[str], lifetime: float | None = None) -> str:
        """Create an access token.

        Args:
            name: Name of the token, unique.
            scopes: One or more of read, submit and admin.
            lifetime: Seconds after which it expires; None: never.

        Returns:
            Its secret.

        Raises:
            Conflict: The name is taken.
        """

    def tokens(self) -> list[Token]:
        """All tokens, including revoked ones, oldest first."""

    def revoke_token(self, name: str) -> None:
        """Make a token invalid from now on. Raises NotFound."""

    def close(self) -> None:
        """Close the store or the connection."""


class ServiceInterface(Protocol):
    """A store, and what needs specs, networks and data beyond it: submit, tune, compare."""

    @property
    def store(self) -> StoreInterface:
        """The store."""

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
        """

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Cancel the runs of a job, or one run. Returns how many. Raises NotFound."""

    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed, cancelled and abandoned runs of a job, or one run, to resume from their checkpoints, if
        their data and code are those that they were submitted with.

        Args:
            job: The runs of this job, or
            run: this run.

        Returns:
            How many runs are queued.

        Raises:
            NotFound: There is no such job or run.
            EvornnError: Data or code have changed; no run is queued.
        """

    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        """Queue the failed runs of a job, or one run, to start over. Otherwise like `resume`."""

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        """The next job of the tuning of a spec with ranges: the same one until it has finished. Raises EvornnError if
        the spec is wrong or runs were cancelled; calling it once more resumes these."""

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        """Compare the runs of a job, by default of the newest one; or `runs`. Raises NotFound; EvornnError while there
        is nothing to compare."""

    def report(self, job: JobId) -> str:
        """The comparison as one HTML page. Raises the same as `compare`."""

    def design(self, run: RunId) -> Design:
        """How a run's network is built. Raises NotFound."""

    def model(self, run: RunId) -> StandaloneModel:
        """The champion of a finished run as a model that stands alone. Raises NotFound."""

    def register_model(self, name: str, source: RunId | bytes, *, note: str = "") -> ModelVersion:
        """Keep a model as the next version of a name.

        Args:
            name: Of the model; a new one belongs to its first owner.
            source: The number of a run that has succeeded, or the bytes of a .safetensors file.
            note: What people should know of it.

        Returns:
            The version.

        Raises:
            EvornnError: The name is no word, or the file is no model or too large.
            NotFound: There is no such run, or it has no result.
            Conflict: The name belongs to somebody else.
            QuotaExceeded: The owner stores too much.
        """

    def predict(self, request: PredictionRequest) -> list[dict[str, Any]]:
        """Answers of a registered model, computed where the store is.

        Args:
            request: The version, rows, and what to answer.

        Returns:
            A record for each answer, in original units; None for what is missing or infinite.

        Raises:
            NotFound: There is no such version.
            EvornnError: A column is missing or is of another kind, a value is missing, or there are too many rows.
        """

    def report_model(self, request: EvaluationRequest, as_page: bool = False) -> bytes:
        """The report of a registered model on data that have the true answers, computed where the store is.

        Args:
            request: The version and the data.
            as_page: As a page of HTML; else as JSON, `wire.Evaluated`.

        Raises:
            NotFound: There is no such version.
            EvornnError: As `predict`; or no true answer is there.
        """
