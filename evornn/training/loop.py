"""The training loop, the same for all trainers: steps until the budget ends; at budget marks it validates the trainer's
answer, keeps the champion, and yields progress with a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evornn.arrays import Genome, Losses, Streams
from evornn.errors import EvornnError
from evornn.networks.loss import CustomLoss
from evornn.networks.network import Network
from evornn.tasks.core.task import Data, Sequences
from evornn.trainers.core.trainer import BudgetExhausted, State, Trainer
from evornn.training.budget import Budget
from evornn.training.check import check, check_score, check_splits, is_applicable
from evornn.training.clock import computing_time
from evornn.training.environment import environment
from evornn.training.make_problem import make_problem
from evornn.training.oracle import LocalOracle, Origin, Spent
from evornn.training.problem import Problem, Sharder
from evornn.training.records import Checkpoint, Result, Row, Update
from evornn.training.regularisation import NO_REGULARISATION, Regularisation, check_regularisation
from evornn.training.sequence_problem import last_outputs
from evornn.training.state import join, split

UPDATE_INTERVAL = 0.5  # seconds between updates: a heartbeat well under a second, and few enough to cost nothing


def train_loop(
    network: Network,
    data: Data,
    trainer: Trainer,
    seed: int,
    budget: Budget,
    *,
    loss: str | CustomLoss | None = None,
    checkpoint: Checkpoint | None = None,
    origin: Origin | None = None,
    sharder: Sharder | None = None,
    regularisation: Regularisation = NO_REGULARISATION,
) -> Iterator[Update]:
    """Train a network, yielding updates; the last one has the result.

    To stop a run, stop iterating; only the work since the last checkpoint is lost.

    Args:
        network: The network.
        data: Training, validation and test split.
        trainer: The trainer.
        seed: Seed of the run, from which all random numbers follow.
        budget: What the run may cost.
        loss: A name or a function; None: the task's.
        checkpoint: Of an earlier attempt, to resume from, with the same rows and result as without interruption.
        origin: Of a warm start; None: the architecture's initial distribution.
        sharder: Shares large populations between processes; None: all is computed in this one.
        regularisation: What the trainer's losses have in addition.

    Yields:
        The rows since the last update with a checkpoint, at most every UPDATE_INTERVAL seconds; a heartbeat without
            rows between marks; at the end also the result.

    Raises:
        EvornnError: Network, data, trainer and budget don't fit together.
    """
    run = Run(network, data, trainer, seed, budget, loss or data.loss, origin, sharder, regularisation)
    run.load(checkpoint)
    last_update, rows = time.perf_counter(), []
    for row in run.rows():
        rows += [row] if row else []
        if time.perf_counter() - last_update >= UPDATE_INTERVAL:
            yield Update(rows, run.save() if rows else None, network_steps=run.oracle.spent.network_steps)
            last_update, rows = time.perf_counter(), []
    if not np.isfinite(run.progress.champion_valid):
        yield Update(rows, run.save(), network_steps=run.oracle.spent.network_steps)
        raise TrainingDiverged
    yield Update(rows, run.save(), run.result(), network_steps=run.oracle.spent.network_steps)


class TrainingDiverged(EvornnError):
    """No validation loss of a run was finite, so that it has no champion and no test loss."""

    def __init__(self) -> None:
        super().__init__(
            "diverged: no validation loss was finite at any budget mark; lower the learning rate or the initial range, "
            "or check the data"
        )


@dataclass
class Progress:
    """The state of the loop itself; saved with every checkpoint."""

    updates: int = 0  # trainer steps
    mark: int = 0  # the last one that has a row
    champion_valid: float = np.inf  # lowest validation loss so far
    champion_mark: int = 0  # at which it was found
    phase_mark: int = 0  # the last one before the trainer's last phase
    seconds: float = 0.0  # computing time, over all attempts
    stopped_by: str = ""  # empty until the run has ended
    losses: tuple[float, ...] = (np.nan,) * 5  # best, lower quartile, median, upper quartile, mean of the last step
    whole: bool = True  # whether the last answer was on all training data


class Run:
    """One run: a trainer on a network and a task. `rows` computes it, `result` evaluates its champion.

    Args:
        network: The network.
        data: Training, validation and test split.
        trainer: The trainer.
        seed: Seed of the run.
        budget: What the run may cost.
        loss: A name or a function.
        origin: Of a warm start; None: there is none.
        sharder: Shares large populations between processes; None: all is computed in this one.
        regularisation: What the trainer's losses have in addition.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        trainer: Trainer,
        seed: int,
        budget: Budget,
        loss: str | CustomLoss,
        origin: Origin | None,
        sharder: Sharder | None = None,
        regularisation: Regularisation = NO_REGULARISATION,
    ) -> None:
        self.train, self.valid, self.test = (make_problem(network, data_split, loss) for data_split in data.splits)
        check(self.train, trainer, origin)
        check_splits(network, data, loss)
        check_regularisation(regularisation, network, data.train)
        self.train = self.train if sharder is None else sharder(self.train)
        if budget.solved:
            check_score(data.score, loss)
        self.network, self.data, self.trainer, self.budget, self.loss = network, data, trainer, budget, loss
        self.streams, self.seed, self.origin = Streams(seed, "trainer"), seed, origin
        self.regularisation = regularisation
        self.progress, self.champion = Progress(), network.layout.centre
        self.oracle = self._oracle(Spent())
        self.state: State = {}
        self._step_losses: list[Losses] = []  # of the last step
        network.evaluator.load()  # compiled once per machine: not part of this run's time
        self._clock = computing_time()

    def rows(self) -> Iterator[Row | None]:
        """Compute the run: yields a row at each budget mark and None after the trainer steps between."""
        if not self.state:  # not resumed
            self.state = self._step(lambda: self.trainer.start(self.oracle, self.streams))
        while not self.progress.stopped_by:
            # One step of the trainer. The oracle refuses a call beyond the budget: then the last state is the answer.
            try:
                self.state = self._step(lambda: self.trainer.step(self.state, self.oracle, self.streams))
            except BudgetExhausted:
                self.progress.stopped_by = "budget"
            else:
                self.progress.updates += 1
            self._tick()
            # Other reasons to stop: target and seconds after each step, solved only at a mark, since it costs time.
            self.progress.stopped_by = self.progress.stopped_by or self._stop()
            if self._mark() > self.progress.mark:
                self._measure()
            # A row if a mark has been passed. A step may pass several, and a run that ends passes all of them.
            row = self._row(self._mark()) if self._mark() > self.progress.mark else None
            self._tick()
            yield row
            self._clock = computing_time()  # the consumer's time does not count

    def result(self) -> Result:
        """The result, for which the champion is evaluated once on the test split."""
        spent, progress = self.oracle.spent, self.progress
        return Result(
            genome=self.champion,
            train_loss=self._loss(self.champion, self.train),
            valid_loss=progress.champion_valid,
            test_loss=self._loss(self.champion, self.test),
            network_steps=spent.network_steps,
            evaluations=spent.evaluations,
            updates=progress.updates,
            seconds=progress.seconds,
            stopped_by=progress.stopped_by,
            hits=dict(spent.hits),
            **self._score_fields(),
            forecast_errors=self._forecast_errors(),
            environment=environment(self.network, self.train.backend),
        )

    def save(self) -> Checkpoint:
        """A checkpoint of everything that the run needs to resume."""
        self._summarise()
        everything = {
            "state": self.state,
            "champion": self.champion,
            "progress": vars(self.progress),
            "spent": self.oracle.spent.as_data(),
        }
        arrays, plain = split(everything, "run")
        return Checkpoint(self.progress.mark, arrays, plain)

    def load(self, checkpoint: Checkpoint | None) -> None:
        """Resume from a checkpoint; None: from the start."""
        if checkpoint is None:
            return
        saved = join(checkpoint.arrays, checkpoint.plain)
        self.state, self.champion = saved["state"], saved["champion"]
        self.progress, self.oracle = Progress(**saved["progress"]), self._oracle(Spent(**saved["spent"]))

    def _row(self, mark: int) -> Row:
        """The row of a mark; validates the trainer's answer and updates the champion."""
        genome = self.trainer.best(self.state)
        valid = self._loss(genome, self.valid)
        if self.trainer.has_next_phase(self.state):
            self.progress.phase_mark = mark
        if valid < self.progress.champion_valid or self.progress.stopped_by == "solved":
            self.progress.champion_valid, self.champion = valid, genome.copy()
            self.progress.champion_mark = mark
        elif self._has_lost_patience(mark):
            self.progress.stopped_by, mark = "patience", self.budget.marks
        self.progress.mark = mark
        self._summarise()
        best, q25, median, q75, mean = self.progress.losses
        spent = self.oracle.spent
        return Row(
            mark=mark,
            network_steps=spent.network_steps,
            evaluations=spent.evaluations,
            updates=self.progress.updates,
            best=best,
            mean=mean,
            median=median,
            q25=q25,
            q75=q75,
            valid=valid,
            champion_valid=self.progress.champion_valid,
            seconds=self.progress.seconds,
            extra={name: float(value) for name, value in self.trainer.statistics(self.state).items()},
        )

    def _has_lost_patience(self, mark: int) -> bool:
        patience, progress = self.budget.patience, self.progress
        waited = mark - max(progress.champion_mark, progress.phase_mark)
        return patience is not None and waited >= patience and not progress.stopped_by

    def _mark(self) -> int:
        """The number of marks that the run has passed: all of them once it has ended."""
        return self.budget.marks if self.progress.stopped_by else self.budget.mark(self.oracle.spent.network_steps)

    def _stop(self) -> str:
        """Why to stop before the budget ends; empty: no reason."""
        budget = self.budget
        if budget.target is not None and repr(budget.target) in self.oracle.spent.hits:
            return "target"
        return "seconds" if budget.seconds is not None and self.progress.seconds >= budget.seconds else ""

    def _measure(self) -> None:
        """Measure at a mark what the trainer does not: whether the task is solved; and on mini-batches the loss on all
        training data, to which targets refer."""
        progress, genome = self.progress, self.trainer.best(self.state)
        if self.oracle.targets and not progress.whole:
            self.oracle.record_loss(self._loss(genome, self.train))
            progress.stopped_by = progress.stopped_by or self._stop()
        if self.budget.solved and not progress.stopped_by and self._is_solved(genome):
            progress.stopped_by = "solved"

    def _is_solved(self, genome: Genome) -> bool:
        score = self.data.score
        assert score is not None and score.threshold is not None  # checked by the constructor
        return all(problem.score(genome, score) >= score.threshold for problem in (self.train, self.valid))

    def _loss(self, genome: Genome, problem: Problem) -> float:
        return float(problem.losses(genome[None])[0])

    def _score_fields(self) -> dict[str, Any]:
        """The champion's score on the test split; nothing if the task has none that applies to the loss."""
        score = self.data.score
        if score is None or not is_applicable(score, self.loss):
            return {}
        value = self.test.score(self.champion, score)
        solved = None if score.threshold is None else value >= score.threshold
        return {"score": score.name, "test_score": value, "solved": solved}

    def _forecast_errors(self) -> dict[str, dict[str, float | None]] | None:
        """The champion's errors on the test split in original units; None if the task is no forecast."""
        chart, test = self.data.chart, self.data.test
        if chart is None or not isinstance(test, Sequences):
            return None
        predictions = last_outputs(self.network, self.champion, test)
        return {target: asdict(errors) for target, errors in chart.errors(chart.inverse_transform(predictions)).items()}

    def _oracle(self, spent: Spent) -> LocalOracle:
        targets = (*self.budget.targets, *([] if self.budget.target is None else [self.budget.target]))
        targets = tuple(dict.fromkeys(targets))
        return LocalOracle(self.train, self.seed, self.budget.steps, targets, spent, self.origin, self.regularisation)

    def _step(self, work: Callable[[], State]) -> State:
        self.oracle.begin_step()
        try:
            state = work()
        except MemoryError:
            raise EvornnError(
                f"memory: {type(self.trainer).__name__} on {self.network!r} does not fit: lower population or units"
            ) from None
        if self.oracle.step_losses:
            self._step_losses, self.progress.whole = self.oracle.step_losses, self.oracle.is_full_batch
        return state

    def _summarise(self) -> None:
        """Summarise the last step's losses; only when needed, since quantiles cost as much as a small step."""
        if self._step_losses:
            self.progress.losses, self._step_losses = summary(self._step_losses), []

    def _tick(self) -> None:
        now = computing_time()
        self.progress.seconds += now - self._clock
        self._clock = now


def summary(step_losses: list[Losses]) -> tuple[float, ...]:
    """Best, lower quartile, median, upper quartile and mean of a step's losses.

    The best is that of all answers; the others are those of the largest answer, the population rather than the few
    members that a hybrid refined. Members that are not finite are left out; all are NaN if none is finite.
    """
    everything, population = np.concatenate(step_losses), max(step_losses, key=len)
    finite = population[np.isfinite(population)].astype(np.float64)
    if not len(finite):
        return (np.nan,) * 5
    q25, median, q75 = (float(q) for q in np.quantile(finite, [0.25, 0.5, 0.75]))
    return float(everything[np.isfinite(everything)].min()), q25, median, q75, float(finite.mean())
