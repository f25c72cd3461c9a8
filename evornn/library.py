"""evornn as a library: train one network, run experiments, open a store. Executors and store are wired together
here."""

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
    """A finished training: the champion, its learning curve, and the summary of the run."""

    network: Network
    genome: Genome  # [n] the champion
    rows: list[Row]
    result: Result

    def curve(self) -> DataFrame:
        """One row per budget mark."""
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

    Args:
        network: what to train.
        task: a Task, a Data of your own, a spec fragment such as {"kind": "csv", …}, or its kind.
        trainer: a Trainer, a spec fragment, or its kind.
        seed: of the run; initial weights and the order of the data follow from it.
        budget: a number of network steps, or a Budget.
        loss: overrides the task's loss. A function of your own is allowed here.

    Returns:
        The champion with its curve.

    Raises:
        EvornnError: task, trainer, loss and network don't fit together, or one of them is not valid.
    """
    from evornn.tasks import TASKS
    from evornn.tasks.core.task import Data, Task
    from evornn.trainers import TRAINERS
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.check import check_causal, load_data
    from evornn.training.loop import train_loop

    source = task if isinstance(task, (Data, Task)) else TASKS.build({"kind": task} if isinstance(task, str) else task)
    if isinstance(source, Task):
        check_causal(network, source)
    data = source if isinstance(source, Data) else load_data(source)
    if not isinstance(trainer, Trainer):
        trainer = TRAINERS.build({"kind": trainer} if isinstance(trainer, str) else trainer)
    limit = budget if isinstance(budget, Budget) else Budget(steps=budget)
    rows: list[Row] = []
    for update in train_loop(network, data, trainer, seed, limit, loss=loss):
        rows += update.rows
    assert update.result is not None
    return TrainingResult(network, update.result.genome, rows, update.result)


def run(
    spec: Mapping[str, Any] | str | Path,
    store: str = DEFAULT_STORE,
    workers: int | None = None,
    address: str | None = None,
) -> Results:
    """Run a spec to its end on Ray. If it is interrupted or killed, `resume` picks up where it left off.

    Args:
        spec: plain data, or the path of a file with it.
        store: the URL of the database; it is created if it is missing.
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.

    Returns:
        The open store with the results.

    Raises:
        EvornnError: the spec, the store or the cluster is not valid.
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
    """Resume a job whose runs were interrupted, failed or cancelled.

    Args:
        store: the URL of the database.
        job: the number of the job; None: the newest.
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.

    Returns:
        The open store with the results.

    Raises:
        EvornnError: there is no such job or store.
    """
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
    """Search the ranges of a spec, with the same budget for every method, then run every method untuned and tuned.

    If it is interrupted or killed, the same call resumes it. To have a server's dispatchers do the work, call
    `evornn.connect(URL).tune(spec)`.

    Args:
        spec: plain data with ranges, or the path of a file with it.
        store: the URL of the database; it is created if it is missing.
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.

    Returns:
        The open store, whose newest job is the comparison of untuned and tuned methods.

    Raises:
        EvornnError: the spec, the store or the cluster is not valid.
    """
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
    """Open the store of a server (`evornn serve`) over HTTP: `evornn.connect("http://localhost:8000")`.

    `url` defaults to EVORNN_SERVER; `token` to EVORNN_TOKEN, else to the content of the file EVORNN_TOKEN_FILE, which
    is `~/.config/evornn/token` by default. Raises EvornnError for an invalid address. Later calls raise Unreachable
    while there is no server, and Refused where the server does not accept the token.
    """
    import os

    from evornn.client.remote import RemoteService
    from evornn.client.token import default_token
    from evornn.service.reading.results import Results

    return Results(
        RemoteService(url or os.environ.get("EVORNN_SERVER", ""), default_token() if token is None else token)
    )


def open_store(url: str, create: bool) -> Store:
    """The store itself, for code that dispatches its runs. Raises StoreError."""
    from evornn.store.store import open_store

    return open_store(url, create=create)


def work(store: Store, job: int, workers: int | None, address: str | None, listener: Listener) -> None:
    """Dispatch a job's runs until all have ended.

    Args:
        store: where the job is.
        job: its number.
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.
        listener: is told of claims, progress and ends.
    """
    with job_dispatcher(store, workers, address) as dispatch:
        dispatch(job, listener)


@contextmanager
def job_dispatcher(store: Store, workers: int | None, address: str | None) -> Iterator[Callable[[int, Listener], None]]:
    """`work` for several jobs on one executor, which starts with the first job that has open runs.

    Args:
        store: where the jobs are.
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.

    Returns:
        A function (job, listener) that dispatches the job's runs until all have ended.
    """
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
    """Set what must be set before Ray is imported; EvoTorch imports it too."""
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
    """An `executor` for processes that run for long: Ray has a process of its own, which is restarted when it is lost.

    Args:
        workers: the number of CPUs of a Ray that is started here. None: all; 0: no Ray, this process.
        address: an existing Ray cluster.
        slots: CPUs that it fills; None: as many as there are.
    """
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
    """A listener that reports nothing."""

    def on_claim(self, run: StoredRun) -> None:
        """A run starts."""

    def on_update(self, run: StoredRun, update: Update) -> None:
        """A run has reported progress."""

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        """A run has ended.

        Args:
            run: the run.
            state: its final state, such as "done" or "failed".
            reason: why it failed or was cancelled; empty if neither.
        """
