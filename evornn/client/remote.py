"""The store and the service of a server, with the methods of the local ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from evornn.client.http import HttpClient, to_json
from evornn.errors import EvornnError
from evornn.experiments.analysis.comparison import Comparison
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.predictions import BODY, PredictionRequest
from evornn.service.reading.design import Design
from evornn.service.tuning.step import TuningStep
from evornn.service.wire import SAFETENSORS, Curve, Job, Outcome, Predictions, QueryTable, Secret
from evornn.store.codec import FLOAT, unpack
from evornn.store.filters import JobQuery, ModelQuery, RunQuery, keywords_of
from evornn.store.names import ModelReference, check_alias, check_model_name
from evornn.store.reads import check_page
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
from evornn.store.tokens import SCOPES
from evornn.training.records import Result, Row

if TYPE_CHECKING:
    from evornn.arrays import Genome
    from evornn.models.standalone import StandaloneModel

JOBS = 500  # in one request
RUNS = 500
MODELS = 500
CURVES = 100
LINES = 1000
LONGEST_KEY = 200  # characters
MEDIA = {"json": "application/json", "csv": "text/csv", "text": "text/plain"}  # format of rows → content type


class RemoteStore:
    """Jobs, runs and results of a server: `StoreInterface` over HTTP, with the errors of `Store`."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http

    @property
    def display_url(self) -> str:
        return self.http.url

    @keywords_of(JobQuery)
    def jobs(self, query: JobQuery) -> list[StoredJob]:
        pages = self.http.pages(Job, "/jobs", JOBS, query.limit, cursor=query.before, **query.criteria())
        return [_job(job) for job in pages]

    def job(self, job: JobId) -> StoredJob:
        return _job(self.http.get(Job, f"/jobs/{job}"))

    def spec(self, job: JobId) -> dict[str, Any]:
        data: dict[str, Any] = self.http.get(dict[str, Any], f"/jobs/{job}/spec")
        return data

    @keywords_of(RunQuery)
    def runs(self, query: RunQuery) -> list[StoredRun]:
        check_page(query)
        pages = partial(self.http.pages, StoredRun, "/runs", RUNS, order=query.order, **query.criteria())
        if query.order != "id":
            return list(pages(query.limit, cursor=query.offset))
        # Pages in this order start after a run's number, so the client skips the first `offset` runs itself.
        most = None if query.limit is None else query.limit + query.offset
        return list(pages(most, cursor=query.after))[query.offset :]

    def run(self, run: RunId) -> StoredRun:
        record: StoredRun = self.http.get(StoredRun, f"/runs/{run}")
        return record

    def curve(self, run: RunId) -> list[Row]:
        rows: list[Row] = self.http.get(list[Row], f"/runs/{run}/metrics")
        return rows

    def curves(self, ids: Sequence[RunId]) -> dict[RunId, list[Row]]:
        parts = [ids[k : k + CURVES] for k in range(0, len(ids), CURVES)]
        answers = [self.http.get(list[Curve], "/curves", runs=",".join(map(str, part))) for part in parts]
        return {curve.run: curve.rows for part in answers for curve in part}

    def champion(self, run: RunId) -> Genome:
        return unpack(self.http.raw(f"/runs/{run}/champion"))["genome"]

    def result(self, run: RunId) -> Result:
        outcome = self.http.get(Outcome, f"/runs/{run}/result")
        values = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
        return Result(genome=self.champion(run), **values)

    def events(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[Event]:
        events = list(self._records(Event, "events", job, run, after, limit))
        return events if run is None or job is None else [event for event in events if event.job == job]

    def logs(
        self, *, job: JobId | None = None, run: RunId | None = None, after: int = 0, limit: int = 1000
    ) -> list[LogLine]:
        return list(self._records(LogLine, "logs", job, run, after, limit))

    def workers(self) -> list[Worker]:
        workers: list[Worker] = self.http.get(list[Worker], "/workers")
        return workers

    def query(self, sql: str, limit: int = 1000, timeout: float = 5.0) -> tuple[list[str], list[list[Any]]]:
        table = self.http.post(QueryTable, "/query", {"sql": sql, "limit": limit, "timeout": timeout}, idempotent=True)
        return table.columns, [[_cell(cell) for cell in row] for row in table.rows]

    def cancel(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        return self._change("cancel", job, run)

    def retry(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        return self._change("retry", job, run)

    def resume(self, *, job: JobId | None = None, run: RunId | None = None) -> int:
        return self._change("resume", job, run)

    def tokens(self) -> list[Token]:
        tokens: list[Token] = self.http.get(list[Token], "/tokens")
        return tokens

    def delete(self, job: JobId) -> int:
        answer: dict[str, int] = self.http.read(dict[str, int], self.http.delete(f"/jobs/{job}"))
        return answer["runs"]

    def archive(self, job: JobId, archived: bool = True) -> int:
        params = {"restore": not archived}
        answer: dict[str, int] = self.http.post(dict[str, int], f"/jobs/{job}/archive", params=params)
        return answer["jobs"]

    @keywords_of(ModelQuery)
    def models(self, query: ModelQuery) -> list[ModelVersion]:
        return list(
            self.http.pages(ModelVersion, "/models", MODELS, query.limit, cursor=query.before, **query.criteria())
        )

    def model(self, reference: str) -> ModelVersion:
        version: ModelVersion = self.http.get(ModelVersion, _model_path(reference))
        return version

    def model_file(self, reference: str) -> bytes:
        return self.http.raw(f"{_model_path(reference)}/file")

    def set_model_alias(self, reference: str, alias: str) -> ModelVersion:
        check_alias(alias)
        path = f"{_model_path(reference)}/aliases/{alias}"
        version: ModelVersion = self.http.post(ModelVersion, path, idempotent=True)
        return version

    def delete_model_alias(self, name: str, alias: str) -> None:
        check_alias(alias)
        self.http.delete(f"{_model_path(name)}/aliases/{alias}")

    def delete_model(self, reference: str) -> ModelVersion:
        version: ModelVersion = self.http.read(ModelVersion, self.http.delete(_model_path(reference)))
        return version

    def set_quota(self, owner: str, limits: Mapping[str, int | None]) -> Quota:
        quota: Quota = self.http.post(Quota, "/quotas", {"owner": owner, **limits}, idempotent=True)
        return quota

    def quotas(self) -> list[Quota]:
        quotas: list[Quota] = self.http.get(list[Quota], "/quotas")
        return quotas

    def add_token(self, name: str, scopes: Iterable[str], lifetime: float | None = None) -> str:
        body = {"name": name, "scope": max(scopes, key=SCOPES.index)}
        more = {} if lifetime is None else {"lifetime": lifetime}
        secret: Secret = self.http.post(Secret, "/tokens", {**body, **more})
        return secret.token

    def revoke_token(self, name: str) -> None:
        self.http.delete(f"/tokens/{quote(name, safe='')}")

    def close(self) -> None:
        self.http.close()

    def _change(self, change: str, job: JobId | None, run: RunId | None) -> int:
        answer: dict[str, int] = self.http.post(dict[str, int], f"{_resource_path(job, run)}/{change}")
        return answer["runs"]

    def _records(
        self, kind: Any, what: str, job: JobId | None, run: RunId | None, after: int, limit: int
    ) -> Iterator[Any]:
        return self.http.pages(kind, f"{_resource_path(job, run)}/{what}", LINES, limit, "after", after=after)


class RemoteService:
    """`ServiceInterface` over HTTP.

    Args:
        url: Address of the server.
        token: Access token.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self.store = RemoteStore(HttpClient(url, token))

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None, priority: int = 0) -> JobId:
        """Queue the runs of a spec. Safe to repeat after a broken connection, since the key prevents a second job.

        Args:
            spec: The spec as plain data.
            idempotency_key: The same key and spec return the same job again; default: a random one.
            priority: Runs with a larger one are claimed first.

        Returns:
            Number of the job.

        Raises:
            EvornnError: The spec is wrong, or the server is unreachable.
            Conflict: The key was used for another spec.
        """
        key = idempotency_key or uuid4().hex
        if not (key.isascii() and key.isprintable() and len(key) <= LONGEST_KEY):
            raise EvornnError(f"an idempotency key has at most {LONGEST_KEY} ASCII characters: choose another")
        headers = {"Idempotency-Key": key}
        params = {"priority": priority}
        job = self.store.http.post(Job, "/jobs", dict(spec), idempotent=True, headers=headers, params=params)
        return int(job.id)

    def cancel(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        return self.store.cancel(job=job, run=run)

    def resume(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        return self.store.resume(job=job, run=run)

    def retry(self, job: JobId | None = None, *, run: RunId | None = None) -> int:
        return self.store.retry(job=job, run=run)

    def tune(self, spec: Mapping[str, Any]) -> TuningStep:
        """The next job of a tuning. Safe to repeat after a broken connection, which returns the same job."""
        step: TuningStep = self.store.http.post(TuningStep, "/tunings", dict(spec), idempotent=True)
        return step

    def compare(self, job: JobId | None = None, runs: Sequence[RunId] = ()) -> Comparison:
        chosen = ",".join(map(str, runs)) or None
        comparison: Comparison = self.store.http.get(Comparison, "/compare", job=job, runs=chosen)
        return comparison

    def report(self, job: JobId) -> str:
        return self.store.http.raw(f"/jobs/{job}/report").decode()

    def design(self, run: RunId) -> Design:
        design: Design = self.store.http.get(Design, f"/runs/{run}/network")
        return design

    def model(self, run: RunId) -> StandaloneModel:
        from evornn.models.standalone import StandaloneModel

        return StandaloneModel.from_bytes(self.store.http.raw(f"/runs/{run}/model"), f"the model of run {run}")

    def register_model(self, name: str, source: RunId | bytes, *, note: str = "") -> ModelVersion:
        check_model_name(name)
        if isinstance(source, int):
            body: dict[str, Any] = {"body": {"run": source, "note": note}}
        else:
            body = {"content": source, "params": {"note": note}, "headers": {"Content-Type": SAFETENSORS}}
        version: ModelVersion = self.store.http.post(ModelVersion, f"/models/{name}", **body)
        return version

    def predict(self, request: PredictionRequest) -> list[dict[str, Any]]:
        names = "next", "coverage", "temperature", "seed"
        params = {name: value for name in names if (value := getattr(request, name)) is not None}
        path = f"{_model_path(request.reference)}/predict"
        answers = self.store.http.post(Predictions, path, request.rows, idempotent=True, name=BODY, params=params)
        return list(answers.rows)

    def report_model(self, request: EvaluationRequest, as_page: bool = False) -> bytes:
        content = request.rows if isinstance(request.rows, bytes) else to_json(request.rows, BODY)
        params = {"name": request.name} if request.data is None else {"data": request.data}
        headers = {"Content-Type": MEDIA[request.format], "Accept": "text/html" if as_page else MEDIA["json"]}
        path = f"{_model_path(request.reference)}/evaluate"
        return self.store.http.post_raw(path, content=content, params=params, headers=headers)


def _model_path(reference: str) -> str:
    """Raises EvornnError for what names no model."""
    return f"/models/{ModelReference.parse(reference)}"


def _job(job: Any) -> StoredJob:
    return StoredJob(**{field.name: getattr(job, field.name) for field in dataclasses.fields(StoredJob)})


def _cell(cell: Any) -> Any:
    return float(cell[FLOAT]) if isinstance(cell, dict) else cell


def _resource_path(job: JobId | None, run: RunId | None) -> str:
    if run is not None:
        return f"/runs/{run}"
    if job is None:
        raise EvornnError("name a job or a run")
    return f"/jobs/{job}"
