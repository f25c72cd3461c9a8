"""evornn as a library: train one network, run experiments, open a store. This file connects executors and store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evornn.models.answers import answer
from evornn.service.executors.executor import Executor

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.arrays import Genome
    from evornn.data.options import ReadOptions
    from evornn.experiments.affordable import AffordableBudget
    from evornn.models.standalone import StandaloneModel
    from evornn.networks.custom_module import OwnModule
    from evornn.networks.loss import CustomLoss
    from evornn.networks.network import Network
    from evornn.service.dispatch.dispatcher import Listener
    from evornn.service.fitting import FitResult
    from evornn.service.reading.results import Results
    from evornn.store.records import StoredRun
    from evornn.store.store import Store
    from evornn.tasks.core.task import Data, Task
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.records import Result, Row, Update
    from evornn.training.regularisation import Regularisation

DEFAULT_STORE = "sqlite:///evornn.db"


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the champion, its learning curve, and the summary of the run."""

    network: Network
    genome: Genome  # [n] the champion
    rows: list[Row]
    result: Result
    data: Data

    @property
    def model(self) -> StandaloneModel:
        """The champion as a model that stands alone, with intervals calibrated on the validation split. Without a
        preparation (`Data.preparation`) it answers with the network's own numbers only."""
        from evornn.models.make import make_model

        return make_model(self.network, self.result, self.data)

    def predict(self, source: Any, *, next: int | None = None, coverage: float | None = None) -> Any:
        """The champion's answers: see `evornn.models.answers.answer`."""
        return answer(self, source, next, coverage)

    def curve(self) -> DataFrame:
        """The learning curve: one row per budget mark, with the columns of `Row`."""
        from evornn.service.reading.results import frame

        return frame(self.rows)

    def __repr__(self) -> str:
        r = self.result
        name = repr(self.network).strip("<>")
        return f"<TrainingResult {name}, validation loss {r.valid_loss:.4g}, test loss {r.test_loss:.4g}>"

    def _repr_html_(self) -> str:
        from evornn.cards import card, curve

        r = self.result
        facts = {"validation loss": r.valid_loss, "test loss": r.test_loss, "network steps": r.network_steps}
        picture = curve([row.champion_valid for row in self.rows], "validation loss of the champion, mark by mark")
        return card(repr(self.network).strip("<>"), {**facts, "seconds": r.seconds}, picture)


def train(
    network: Network | OwnModule,
    task: Task | Data | str | Mapping[str, Any],
    trainer: Trainer | str | Mapping[str, Any],
    seed: int = 0,
    budget: Budget | int = 1_000_000,
    loss: str | CustomLoss | None = None,
    regularisation: Regularisation | Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Train one network in this process, without a store.

    >>> from evornn import Network, train
    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> run = train(network, "sunspots", {"kind": "cma_es", "population": 16}, seed=1, budget=200_000)
    >>> run.genome.shape == (network.n,) and run.result.network_steps <= 200_000
    True

    Args:
        network: The network to train. Its inputs and outputs must be those of the task. A torch module of your own,
            [B, T, I] → [B, T, O], becomes one.
        task: A `Task`, `Data` of your own, a spec fragment such as `{"kind": "csv", …}`, or a kind such as "sunspots".
        trainer: A `Trainer`, a spec fragment, or a kind such as "adam".
        seed: Seed of the run, from which initial weights and the order of the data follow.
        budget: Number of network steps (members × sequences × time steps; a gradient counts 3), or a `Budget`.
        loss: Replaces the task's loss: a name such as "mse", or a function (`evornn.networks.loss.CustomLoss`). None:
            the task's.
        regularisation: What the training loss has in addition, such as `{"weight_decay": 1e-4}`; None: nothing.

    Returns:
        The champion [n], its learning curve and its losses.

    Raises:
        EvornnError: Task, trainer, loss and network don't fit together, or one of them is invalid. BadSetting, a
            subclass, names the setting.
    """
    from evornn.networks.network import Network
    from evornn.settings import build
    from evornn.tasks import TASKS
    from evornn.tasks.core.task import Data, Task
    from evornn.trainers import TRAINERS
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.check import check_causal, load_data
    from evornn.training.loop import train_loop
    from evornn.training.regularisation import Regularisation

    source = task if isinstance(task, (Data, Task)) else TASKS.build({"kind": task} if isinstance(task, str) else task)
    data = source if isinstance(source, Data) else load_data(source)
    if not isinstance(network, Network):
        inputs, outputs = data.sizes
        network = Network(network, inputs=inputs, outputs=outputs)
    if isinstance(source, Task):
        check_causal(network, source)
    if not isinstance(trainer, Trainer):
        trainer = TRAINERS.build({"kind": trainer} if isinstance(trainer, str) else trainer)
    limit = budget if isinstance(budget, Budget) else Budget(steps=budget)
    if not isinstance(regularisation, Regularisation):
        regularisation = build(Regularisation, dict(regularisation or {}), "regularisation")
    rows: list[Row] = []
    for update in train_loop(network, data, trainer, seed, limit, loss=loss, regularisation=regularisation):
        rows += update.rows
    assert update.result is not None
    return TrainingResult(network, update.result.genome, rows, update.result, data)


def load(path: str | Path, trusted: bool = False) -> StandaloneModel:
    """Read a model that stands alone, as `evornn model`, `evornn fit` and `model.save` write it.

    Args:
        path: The file.
        trusted: Whether code of one's own that the file names as its network may be imported.

    Raises:
        EvornnError: It can't be read, or is no model.
    """
    from evornn.models.standalone import StandaloneModel

    return StandaloneModel.load(path, trusted)


def run(
    spec: Mapping[str, Any] | str | Path,
    store: str = DEFAULT_STORE,
    workers: int | None = None,
    address: str | None = None,
    progress: bool | None = None,
) -> Results:
    """Run a spec to its end on Ray. If it is interrupted or killed, `resume` picks up where it left off.

    Args:
        spec: The experiment as plain data, or the path of a YAML or JSON file.
        store: URL of the database, `sqlite:///FILE` or `postgresql://…`. It is created if it does not exist.
        workers: CPUs of a Ray that is started for this call. None: all; 0: no Ray, all runs in this process.
        address: Address of an existing Ray cluster; None: start one.
        progress: Whether to show runs done, best loss, speed and time left; None: in a notebook and on a terminal.

    Returns:
        The open store, whose newest job has the results. Close it, or use it in a `with` block.

    Raises:
        EvornnError: The spec is invalid, or the cluster does not fit. StoreError, a subclass: the database can't be
            opened.
    """
    from evornn.service.progress import show_progress
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    prepare(workers, address)
    service = Service(open_store(store, create=True))
    results = Results(service)
    job = results.submit(spec)
    with show_progress(service.store, job, progress) as listener:
        work(service.store, job, workers, address, listener)
    return results


def fit(
    source: DataFrame | str | Path,
    target: str | Sequence[str],
    *,
    group: str | None = None,
    time: str | None = None,
    fill: str | None = None,
    read: ReadOptions | None = None,
    quantiles: Sequence[float] = (),
    minutes: float = 5.0,
    store: str = DEFAULT_STORE,
    workers: int | None = None,
) -> FitResult:
    """Train four networks on data of your own by gradient, evolution and both, and keep the best one as a model.

    The spec is written beside the file. The same call goes on where it was interrupted.

    Args:
        source: A file or folder that `evornn.data.reading` reads; or a frame, which is saved in the working folder, so
            that its runs can be resumed.
        target: The column to predict, or several.
        group: The column that tells sequences apart; "none": there is none.
        time: The column of times; "none": rows are in order.
        fill: What to do about missing values: "mask", "forward_fill" or "interpolate"; None: refuse them.
        read: How to read the file; None: find out.
        quantiles: Levels to predict of numbers instead of their mean, such as (0.1, 0.5, 0.9).
        minutes: How long all of it may take, about.
        store: URL of the database, `sqlite:///FILE` or `postgresql://…`. It is created if it does not exist.
        workers: CPUs of a Ray that is started for this call. None: all; 0: no Ray, all runs in this process.

    Returns:
        The comparison, the verdict in sentences, and the model with the lowest validation loss.

    Raises:
        EvornnError: The data can't be read or leave a question open, which the message names with its answers.
    """
    from evornn.data.options import ReadOptions
    from evornn.experiments.own_data import OwnData, save_frame

    targets = (target,) if isinstance(target, str) else tuple(target)
    path, options = (str(source), read or ReadOptions()) if isinstance(source, (str, Path)) else save_frame(source)
    own = OwnData(path, targets, group, time, fill, options, tuple(quantiles))
    return run_fit(own.spec(own.understand()), own.beside(".yaml"), minutes, store, workers)


def run_fit(
    spec: Mapping[str, Any],
    path: Path,
    minutes: float,
    store: str,
    workers: int | None,
    tell: Callable[[dict[str, Any], AffordableBudget | None], None] = lambda *_: None,
    watch: Callable[[Store, int], AbstractContextManager[Listener]] | None = None,
) -> FitResult:
    """Choose the budget of a spec, run it, and read what it has found.

    Args:
        spec: The spec of `OwnData`.
        path: Where it is kept, with its budget.
        minutes: That are left for it.
        store: URL of the database.
        workers: As in `fit`.
        tell: Called with the spec that is run, and the budget that was chosen for it.
        watch: Makes the listener of a job; None: nobody listens.
    """
    import os

    from evornn.experiments.affordable import choose_budget
    from evornn.service.fitting import affordable_spec, read_fit, submit_once
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    prepare(workers, None)
    cores = max(os.cpu_count() or 1 if workers is None else workers, 1)
    chosen, budget = affordable_spec(path, spec, minutes, lambda seconds: choose_budget(spec, seconds, cores))
    tell(chosen, budget)
    service = Service(open_store(store, create=True))
    with Results(service) as results:
        job = submit_once(service, chosen)
        with watch(service.store, job) if watch else nullcontext(SilentListener()) as listener:
            work(service.store, job, workers, None, listener)
        return read_fit(results, job)


def resume(
    store: str = DEFAULT_STORE, job: int | None = None, workers: int | None = None, address: str | None = None
) -> Results:
    """Resume a job whose runs were interrupted, failed or cancelled.

    Each run resumes from its last checkpoint, with the same result as without the interruption.

    Args:
        store: URL of an existing database.
        job: Number of the job; None: the newest.
        workers: CPUs of a Ray that is started for this call. None: all; 0: no Ray, all runs in this process.
        address: Address of an existing Ray cluster; None: start one.

    Returns:
        The open store with the job's results. Close it, or use it in a `with` block.

    Raises:
        EvornnError: The store has no job, or the cluster does not fit. StoreError, a subclass: there is no such
            database. NotFound, a subclass of that: there is no such job.
    """
    from evornn.service.reading.comparison_data import resolve_job
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    prepare(workers, address)
    service = Service(open_store(store, create=False))
    chosen = resolve_job(service.store, job)
    service.resume(chosen)
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
        spec: The experiment with ranges as plain data, or the path of a YAML or JSON file.
        store: URL of the database, `sqlite:///FILE` or `postgresql://…`. It is created if it does not exist.
        workers: CPUs of a Ray that is started for this call. None: all; 0: no Ray, all runs in this process.
        address: Address of an existing Ray cluster; None: start one.

    Returns:
        The open store, whose newest job compares the methods untuned and tuned. Close it, or use it in a `with` block.

    Raises:
        EvornnError: The spec is invalid, or the cluster does not fit. StoreError, a subclass: the database can't be
            opened.
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
    """Open a store to read its results: `with evornn.open() as results: results.run(1).network`.

    Args:
        store: URL of the database, `sqlite:///FILE` or `postgresql://…`.
        create: Whether to create a database that does not exist.

    Returns:
        Jobs, runs, curves and comparisons of the store. Close it, or use it in a `with` block.

    Raises:
        StoreError: The database does not exist, can't be opened, or is not evornn's.
    """
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    return Results(Service(open_store(store, create=create)))


def connect(url: str | None = None, token: str | None = None) -> Results:
    """Open the store of a server (`evornn serve`) over HTTP: `evornn.connect("http://localhost:8000")`.

    Nothing is sent yet: later calls raise Unreachable while no server answers, and Refused if it rejects the token.

    Args:
        url: Address of the server; None: the environment variable EVORNN_SERVER.
        token: Token of the user; None: the environment variable EVORNN_TOKEN, else the content of the file
            EVORNN_TOKEN_FILE, by default `~/.config/evornn/token`.

    Returns:
        The same as `open` returns, for the server's store.

    Raises:
        EvornnError: The address is missing or invalid.
    """
    import os

    from evornn.client.remote import RemoteService
    from evornn.client.token import default_token
    from evornn.service.reading.results import Results

    return Results(
        RemoteService(url or os.environ.get("EVORNN_SERVER", ""), default_token() if token is None else token)
    )


def open_store(url: str, create: bool) -> Store:
    """Open the store itself, for code that dispatches its runs.

    Args:
        url: URL of the database.
        create: Whether to create a database that does not exist.

    Raises:
        StoreError: The database does not exist, can't be opened, or is not evornn's.
    """
    from evornn.store.store import open_store

    return open_store(url, create=create)


def work(store: Store, job: int, workers: int | None, address: str | None, listener: Listener) -> None:
    """Dispatch a job's runs until all have ended.

    Args:
        store: The store with the job.
        job: Number of the job.
        workers: CPUs of a Ray that is started for this call. None: all; 0: no Ray, all runs in this process.
        address: Address of an existing Ray cluster; None: start one.
        listener: Receives claims, progress and ends of runs.
    """
    with job_dispatcher(store, workers, address) as dispatch:
        dispatch(job, listener)


@contextmanager
def job_dispatcher(store: Store, workers: int | None, address: str | None) -> Iterator[Callable[[int, Listener], None]]:
    """`work` for several jobs on one executor, which starts with the first job that has open runs.

    Args:
        store: The store with the jobs.
        workers: CPUs of a Ray that is started for these jobs. None: all; 0: no Ray, all runs in this process.
        address: Address of an existing Ray cluster; None: start one.

    Yields:
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
    """Set the environment variables that Ray reads when it is imported; EvoTorch imports it too."""
    if workers != 0 or address is not None:
        from evornn.workers import cluster

        cluster.prepare(address)


@contextmanager
def executor(workers: int | None, address: str | None) -> Iterator[Executor]:
    """Yields Ray, or with `workers=0` and no address a thread of this process."""
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
    """An `executor` for long-running processes: Ray runs in a child process, which is restarted when it is lost.

    Args:
        workers: CPUs of a Ray that the child starts. None: all; 0: no Ray, a thread of this process.
        address: Address of an existing Ray cluster; None: start one.
        slots: CPUs that runs may occupy; None: all.
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
    """A listener that reports nothing; a base for those that report only some events."""

    def on_claim(self, run: StoredRun) -> None:
        """Called when a run starts."""

    def on_update(self, run: StoredRun, update: Update) -> None:
        """Called when a run has reported progress."""

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        """Called when a run has ended.

        Args:
            run: The run.
            state: How it ended, such as "succeeded", "failed" or "queued" for another try.
            reason: Why, in one line; empty for a success.
        """
