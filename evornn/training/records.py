"""What a run says while it runs, as plain data: rows at budget marks, a checkpoint now and then, at last a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Row:
    """The state of a run at a budget mark. All but `seconds` is the same however and wherever the run was computed."""

    mark: int  # 1 … budget.marks; the last one at the end, whatever ended the run
    network_steps: int  # spent so far: members × sequences × time steps, a gradient counts 3
    evaluations: int  # losses answered so far, one per member
    updates: int  # trainer steps so far: generations or gradient updates
    best: float  # training losses of the trainer's last answer
    mean: float
    median: float
    q25: float
    q75: float
    valid: float  # validation loss of what the trainer would answer now
    champion_valid: float  # lowest of all `valid` so far
    seconds: float  # computing time of the run so far, over all its attempts
    extra: dict[str, float] = field(default_factory=dict)  # sigma, gradient_norm, …


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on where it stopped: arrays (stored as safetensors) and plain values (as JSON)."""

    mark: int
    arrays: dict[str, NDArray[Any]]
    plain: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """The end of a run."""

    genome: NDArray[np.float32]  # [n] the champion: lowest validation loss at a budget mark
    train_loss: float
    valid_loss: float
    test_loss: float
    network_steps: int
    evaluations: int
    updates: int
    seconds: float
    stopped_by: str  # budget, target, solved, seconds
    hits: dict[str, int]  # target loss (as text) → network steps at which a training loss first reached it
    score: str | None = None  # what `test_score` is, in the task's own terms (tasks/task.Score); None: there is none
    test_score: float | None = None
    solved: bool | None = None  # None: the task knows no such thing
    environment: dict[str, Any] = field(default_factory=dict)  # code and library versions, CPU, backend that really ran


@dataclass(frozen=True)
class Update:
    """What a running run sends: the rows since the last update with a checkpoint, or no row: a sign of life."""

    rows: list[Row]
    checkpoint: Checkpoint | None
    result: Result | None = None
    network_steps: int = 0  # spent so far
