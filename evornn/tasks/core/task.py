"""What is asked: a task gives sequences, or something to control, to train on, to choose by, and to be judged by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Floats, Mask, Series
from evornn.plant import Plant
from evornn.tasks.core.scaling import Transform, inverse
from evornn.tasks.core.world import Rollouts


@dataclass(frozen=True)
class Sequences:
    """B sequences of T steps. `mask` is True where a step counts in the loss; padding and washout are False."""

    inputs: Series  # [B, T, I]
    targets: Series  # [B, T, O]
    mask: Mask  # [B, T]

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def steps(self) -> int:
        """Network steps that one member takes through all of them: B × T."""
        return int(self.inputs.shape[0] * self.inputs.shape[1])

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.inputs.shape[2], self.targets.shape[2]

    def take(self, rows: Batch) -> Sequences:
        return Sequences(self.inputs[rows], self.targets[rows], self.mask[rows])


EpisodeLengths: TypeAlias = NDArray[np.int64]  # [P, E] control steps
Fitness: TypeAlias = Callable[[EpisodeLengths, NDArray[Any]], NDArray[Any]]
"""Steps survived [P, E] and sums of rewards [P, E] → what each episode is worth as a loss [P, E]: lower is better."""
EPISODES = "episodes"  # the loss of a task that asks for control: its trials' fitness


@dataclass(frozen=True)
class ControlEpisodes:
    """A plant to control, in all its episodes. A network's loss is the mean of theirs.

    With `tested`, the best of each generation (of the networks judged together) whose episodes all last for `steps` is
    tested on episodes of so many control steps; if it survives them, its loss is 0. No fitness may be 0 then."""

    plant: Plant
    steps: int  # control steps of an episode, at most
    fitness: Fitness
    test_steps: int = 0

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs and outputs."""
        trace = self.plant.trace()
        return len(trace.observations), len(trace.a)


Split: TypeAlias = Sequences | ControlEpisodes | Rollouts


@dataclass(frozen=True)
class Baseline:
    """A prediction that needs no network, judged on the same points as the network."""

    name: str  # persistence, mean, seasonal, autoregression
    valid: float  # loss on the validation split, in the task's loss and scaling
    test: float
    predictions: Floats | None = None  # [B, O] on the test split, in original units


@dataclass(frozen=True)
class Score:
    """How a task is judged in its own terms, beside the loss: by the number that its paper reports."""

    name: str  # what the number is, with its unit: "share of strings right", "NRMSE"
    compute: Callable[[Any, Any], float]  # outputs [B, T, O], or the episodes of one genome, and what was asked
    threshold: float | None = None  # the least score that counts as solved; None: the paper knows no such thing
    losses: tuple[str, ...] = ()  # those under which outputs are what `judge` takes them for, say logits; empty: all


@dataclass(frozen=True)
class Data:
    """A task's three splits, with what is needed to draw and judge forecasts in original units.

    All three are of one kind. Sequences are scaled by what was fitted on training data only. Nothing but the final
    judgement may read `test`.
    """

    train: Split
    valid: Split
    test: Split
    loss: str = "mse"  # a name in kernels/losses.py, EPISODES or RETURN
    baselines: tuple[Baseline, ...] = ()
    labels: tuple[str, ...] = ()  # names of the O outputs, with units where known
    note: str = ""  # source, licence, split: shown in the report
    chart: Chart | None = None
    score: Score | None = None

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        return self.train, self.valid, self.test

    @property
    def sizes(self) -> tuple[int, int]:
        """Inputs and outputs of a network for it."""
        return self.train.sizes


@dataclass(frozen=True)
class Chart:
    """What it takes to draw the test forecasts over the real series, in original units.

    A prediction of the network at the last step of test sequence b, output o, is turned into original units
    by the inverse of the transform of `offset[b, o] + scale[o] * prediction`.
    """

    times: list[str]  # [B] ISO dates or step numbers of the first forecast step of each test sequence
    truth: Floats  # [B, O]
    offset: Floats  # [B, O]
    scale: Floats  # [O]
    unit: str = ""
    history: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # first target, all before the test split
    transform: Transform = "none"  # what came before standardising, a name in tasks/scaling.py

    def inverse_transform(self, predictions: NDArray[Any]) -> Floats:
        """[B, O] scaled predictions → original units."""
        return inverse(self.transform, self.offset + self.scale * predictions).astype(np.float32)


class Task(ABC):
    """A task is its settings (see `evornn.settings`); `data()` does the work and is the same for every run."""

    causal: ClassVar[bool] = True  # the future may not be seen: networks that do are refused

    @abstractmethod
    def data(self) -> Data:
        """Load or generate, split, scale; deterministic. Raises EvornnError with what to do about bad data."""
