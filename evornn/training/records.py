"""What a run reports, as plain data: rows at budget marks, checkpoints, and finally a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.errors import EvornnError

MAX_CHECKPOINT = 2**31  # bytes of its arrays: a dispatcher holds them twice while it stores them


@dataclass(frozen=True)
class Row:
    """A run at a budget mark. All numbers but `seconds` are the same wherever and however the run was computed."""

    mark: int  # 1 … budget.marks; the last one at the end, whatever stopped the run
    network_steps: int  # spent so far: members × sequences × time steps, a gradient counts 3
    evaluations: int  # losses answered so far, one per member
    updates: int  # trainer steps so far: generations or gradient updates
    best: float  # training losses of the trainer's last answer
    mean: float
    median: float
    q25: float
    q75: float
    valid: float  # validation loss of the trainer's answer
    champion_valid: float  # lowest of all `valid` so far
    seconds: float  # computing time of the run so far, over all its attempts
    extra: dict[str, float] = field(default_factory=dict)  # sigma, gradient_norm, …


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to resume: arrays (stored as safetensors) and plain values (as JSON)."""

    mark: int
    arrays: dict[str, NDArray[Any]]
    plain: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def check(self) -> None:
        """Raises EvornnError if it is larger than a store takes."""
        check_size(self.size)


@dataclass(frozen=True)
class Result:
    """The result of a run: its champion, with losses and costs."""

    genome: NDArray[np.float32]  # [n] the champion: lowest validation loss at a budget mark
    train_loss: float
    valid_loss: float
    test_loss: float
    network_steps: int
    evaluations: int
    updates: int
    seconds: float
    stopped_by: str  # budget, target, solved, seconds, patience
    hits: dict[str, int]  # target loss (as text) → network steps at which a training loss first reached it
    score: str | None = None  # name of the task's own measure (`tasks.core.task.Score`); None: it has none
    test_score: float | None = None
    solved: bool | None = None  # whether `test_score` reaches the task's threshold; None: there is none
    forecast_errors: dict[str, dict[str, float | None]] | None = None  # target → rmse, mae, mase, r2 on test, in
    # original units (`tasks.core.forecast_errors.ForecastErrors`); None: the task is no forecast
    environment: dict[str, Any] = field(default_factory=dict)  # versions of code and libraries, CPU, backend


@dataclass(frozen=True)
class Update:
    """A report of a run that is computed: its rows since the last update, with a checkpoint; a heartbeat has no row."""

    rows: list[Row]
    checkpoint: Checkpoint | None
    result: Result | None = None
    network_steps: int = 0  # spent so far


def check_size(size: int, advice: str = "use a smaller network or population") -> None:
    """Check the size of a checkpoint.

    Args:
        size: Bytes of its arrays.
        advice: What to change.

    Raises:
        EvornnError: It is larger than a store takes.
    """
    if size > MAX_CHECKPOINT:
        raise EvornnError(
            f"a checkpoint of {size / 1e9:,.2f} GB, which is over the limit of {MAX_CHECKPOINT / 1e9:,.2f} GB: {advice}"
        )
