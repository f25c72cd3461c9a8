"""evornn as a library: train one network, run experiments, open a store. The wiring of executors and store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evornn.service.executors.executor import Executor

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.arrays import Genome
    from evornn.networks.loss import CustomLoss
    from evornn.networks.network import Network
    from evornn.service.dispatch.dispatcher import Listener
    from evornn.service.reading.results import Results
    from evornn.store.records import StoredRun
    from evornn.store.store import Store
    from evornn.tasks.core.task import Data, Task
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.records import Result, Row, Update

DEFAULT_STORE = "sqlite:///evornn.db"


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the champion, its curve, how it went."""

    network: Network
    genome: Genome  # [n] the champion
    rows: list[Row]
    result: Result

    def curve(self) -> DataFrame:
        """One line per budget mark."""
        from evornn.service.reading.results import frame

        return frame(self.rows)


def train(
    network: Network,
    task: Task | Data | str | Mapping[str, Any],
    trainer: Trainer | str | Mapping[str, Any],
    seed: int = 0,
    budget: Budget | int = 1_000_000,
    loss: str | CustomLoss | None = None,
) -> TrainingResult:
    """Train `network` in this process, without a store.

    `task` is a Task, a Data of your own, a spec fragment such as {"kind": "csv", …} or its kind; `trainer` likewise.
    `budget` is a number of network steps, or a Budget. `loss` overrides the task's; your own function is allowed here.
    """
    from evornn.tasks import TASKS
    from evornn.tasks.core.task import Data, Task
    from evornn.trainers import TRAINERS
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.check import check_causal, load_data
    from evornn.training.loop import training

    source = task if isinstance(task, (Data, Task)) else TASKS.build({"kind": task} if isinstance(task, str) else task)
    if isinstance(source, Task):
        check_causal(network, source)
    data = source if isinstance(source, Data) else load_data(source)
    how = (
        trainer
        if isinstance(trainer, Trainer)
        else TRAINERS.build({"kind": trainer} if isinstance(trainer, str) else trainer)
    )
    limit = budget if isinstance(budget, Budget) else Budget(steps=budget)
    rows: list[Row] = []
    for update in training(network, data, how, seed, limit, loss=loss):
        rows += update.rows
    assert update.result is not None
    return TrainingResult(network, update.result.genome, rows, update.result)


def run(
    spec: Mapping[str, Any] | str | Path,
    store: str = DEFAULT_STORE,
    workers: int | None = None,
    address: str | None = None,
) -> Results:
    """Run a spec (plain data, or a file's path) to its end, spread over Ray. Answers the open store with the results.

    `workers` is the number of CPUs of a Ray started for it here (None: all; 0: no Ray, this process), `address` an
    existing cluster. Interrupted or killed, `resume` goes on with it.
    """
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    prepare(workers, address)
    service = Service(open_store(store, create=True))
    results = Results(service)
    work(service.store, results.submit(spec), workers, address, SilentListener())
    return results


def resume(
    store: str = DEFAULT_STORE, job: int | None = None, workers: int | None = None, address: str | None = None
) -> Results:
    """Go on with a job (by default the newest) whose runs were interrupted, failed or cancelled."""
    from evornn.service.reading.comparison_data import resolve_job
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    prepare(workers, address)
    service = Service(open_store(store, create=False))
    chosen = resolve_job(service.store, job)
    service.store.resume(job=chosen)
    work(service.store, chosen, workers, address, SilentListener())
    return Results(service)


def tune(
    spec: Mapping[str, Any] | str | Path,
    store: str = DEFAULT_STORE,
    workers: int | None = None,
    address: str | None = None,
) -> Results:
    """Search the ranges of a spec, the same budget for every method, then run every method untuned and tuned. Answers
    the open store, whose newest job is that comparison. Interrupted or killed, the same call goes on with it. By a
    server's dispatchers it is `evornn.connect(URL).tune(spec)`."""
    from evornn.experiments.yaml import read
    from evornn.service.reading.results import Results
    from evornn.service.service import Service
    from evornn.service.tuning.session import Tuning

    prepare(workers, address)
    service = Service(open_store(store, create=True))
    tuning = Tuning(service, read(spec) if isinstance(spec, (str, Path)) else spec)
    with job_dispatcher(service.store, workers, address) as dispatch:
        for job in tuning.jobs():
            dispatch(job, SilentListener())
        dispatch(tuning.comparison(), SilentListener())
    return Results(service)


def open(store: str = DEFAULT_STORE, create: bool = False) -> Results:
    """Open a store: `with evornn.open() as results: results.run(1).network`. Raises StoreError."""
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    return Results(Service(open_store(store, create=create)))


def connect(url: str | None = None, token: str | None = None) -> Results:
    """The same over HTTP, from a server (`evornn serve`): `evornn.connect("http://localhost:8000")`.

    `url` is by default EVORNN_SERVER; `token` EVORNN_TOKEN, or what the file EVORNN_TOKEN_FILE says, which is
    `~/.config/evornn/token`. Raises EvornnError for an address that is none. What is asked then raises Unreachable
    while there is no server, and Refused where it doesn't take the token.
    """
    import os

    from evornn.client.remote import RemoteService
    from evornn.client.token import default_token
    from evornn.service.reading.results import Results

    return Results(
        RemoteService(url or os.environ.get("EVORNN_SERVER", ""), default_token() if token is None else token)
    )


def open_store(url: str, create: bool) -> Store:
    """A store itself, for what dispatches its runs. Raises StoreError."""
    from evornn.store.store import open_store

    return open_store(url, create=create)


def work(store: Store, job: int, workers: int | None, address: str | None, listener: Listener) -> None:
    """Dispatch a job's runs until all have ended."""
    with job_dispatcher(store, workers, address) as dispatch:
        dispatch(job, listener)


@contextmanager
def job_dispatcher(store: Store, workers: int | None, address: str | None) -> Iterator[Callable[[int, Listener], None]]:
    """`work` for one job after the other on the same executor, which begins with the first that is open."""
    from evornn.service.dispatch.dispatcher import UNFINISHED, Dispatcher

    executors: list[Executor] = []
    with ExitStack() as stack:

        def dispatch(job: int, listener: Listener) -> None:
            if not UNFINISHED & set(store.job(job).counts):
                return
            if not executors:
                executors.append(stack.enter_context(executor(workers, address)))
            Dispatcher(store, executors[0], listener).work(job)

        yield dispatch


def prepare(workers: int | None, address: str | None) -> None:
    """What must be set before Ray is imported; EvoTorch imports it too."""
    if workers != 0 or address is not None:
        from evornn.workers import cluster

        cluster.prepare(address)


@contextmanager
def executor(workers: int | None, address: str | None) -> Iterator[Executor]:
    """Ray, or with `workers=0` a thread of this process."""
    if workers == 0 and address is None:
        from evornn.service.executors.local_executor import LocalExecutor

        local = LocalExecutor()
        try:
            yield local
        finally:
            local.close()
        return
    from evornn.workers import cluster

    with cluster.executor(address, workers) as ray:
        yield ray


@contextmanager
def subprocess_executor(workers: int | None, address: str | None, slots: int | None = None) -> Iterator[Executor]:
    """Like `executor`, for who goes on for long: Ray is in a process of its own, and comes again when it was lost."""
    if workers == 0 and address is None:
        with executor(workers, address) as local:
            yield local
        return
    from evornn.service.executors.subprocess_executor import SubprocessExecutor
    from evornn.workers import cluster

    child = SubprocessExecutor(partial(cluster.executor, address, workers, slots))
    try:
        yield child
    finally:
        child.close()


class SilentListener:
    """A listener that says nothing."""

    def on_claim(self, run: StoredRun) -> None: ...
    def on_update(self, run: StoredRun, update: Update) -> None: ...
    def on_end(self, run: StoredRun, state: str, reason: str) -> None: ...
