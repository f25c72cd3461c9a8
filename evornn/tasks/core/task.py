"""A task: sequences, or something to control, split for training, validation and test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Mask, Series
from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles, Transform, inverse
from evornn.errors import EvornnError, short_repr
from evornn.plant import Plant
from evornn.tasks.core.forecast_errors import ErrorsByTarget, ForecastErrors, forecast_errors
from evornn.tasks.core.lazy import Lazy, portions
from evornn.tasks.core.world import Rollouts


@dataclass(frozen=True)
class Sequences:
    """B sequences of T steps. `mask` is True where a step counts in the loss; padding and washout are False.

    Where all would take too much memory, the three are `Lazy`: what reads them whole goes through `portions`.
    """

    inputs: Series  # [B, T, I]
    targets: Series  # [B, T, O]
    mask: Mask  # [B, T]
    is_categorical: bool = False  # whether inputs are one category, one-hot, which networks may look up

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def steps(self) -> int:
        """The network steps that one member takes through all of them: B × T."""
        return int(self.inputs.shape[0] * self.inputs.shape[1])

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of inputs and outputs."""
        return self.inputs.shape[2], self.targets.shape[2]

    @property
    def is_lazy(self) -> bool:
        """Whether sequences are made when they are asked for."""
        return isinstance(self.inputs, Lazy)

    @property
    def nbytes(self) -> int:
        """The bytes that all of them take, or would take."""
        return self.inputs.nbytes + self.targets.nbytes + self.mask.nbytes

    def portions(self) -> Iterator[Sequences]:
        """All sequences in order, as arrays, so many at a time as memory bears."""
        if not self.is_lazy:
            yield self
            return
        for cut in portions(len(self), self.inputs.shape[1] * sum(self.sizes)):
            yield self.take(np.arange(cut.start, cut.stop))

    def take(self, rows: Batch) -> Sequences:
        """Some of the sequences, as arrays."""
        return Sequences(self.inputs[rows], self.targets[rows], self.mask[rows], self.is_categorical)

    def last_steps(self, values: NDArray[Any]) -> NDArray[Any]:
        """[B, T, …] → [B, …] at each sequence's last step that counts."""
        steps = self.mask.shape[1] - 1 - self.mask[:, ::-1].argmax(axis=1)
        last: NDArray[Any] = values[np.arange(len(values)), steps]
        return last


EpisodeLengths: TypeAlias = NDArray[np.int64]  # [P, E] control steps
Fitness: TypeAlias = Callable[[EpisodeLengths, NDArray[Any]], NDArray[Any]]
"""Steps survived [P, E] and sums of rewards [P, E] → the loss of each episode [P, E]: lower is better."""
EPISODES = "episodes"  # the loss of a control task: the mean of its episodes' fitness


@dataclass(frozen=True)
class ControlEpisodes:
    """A plant to control, in all its episodes. A network's loss is the mean of theirs.

    With `test_steps`, the best of each generation (of the networks evaluated together) whose episodes all last for
    `steps` is tested on episodes of that many control steps; if it survives them, its loss is 0. No fitness may be 0
    then. With `generalization` it must also pass this second test.
    """

    plant: Plant
    steps: int  # control steps of an episode, at most
    fitness: Fitness
    test_steps: int = 0
    generalization: GeneralizationTest | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of inputs and outputs."""
        trace = self.plant.trace()
        return len(trace.observations), len(trace.a)


@dataclass(frozen=True)
class GeneralizationTest:
    """Episodes from other starts, of which enough must be survived.

    The score of a task with this test is computed from these episodes; it is 0 for a network that does not survive the
    long ones.
    """

    episodes: ControlEpisodes
    required: int  # how many episodes must last for all their steps


Split: TypeAlias = Sequences | ControlEpisodes | Rollouts


@dataclass(frozen=True)
class Baseline:
    """A prediction that needs no network, judged on the same points as the network."""

    name: str  # persistence, mean, seasonal, autoregression
    valid: float  # loss on the validation split, in the task's loss and scaling
    test: float
    predictions: Doubles | None = None  # [B, O] on the test split, in original units
    errors: ErrorsByTarget = field(default_factory=dict)  # of the predictions; empty: these are no forecasts


@dataclass(frozen=True)
class Score:
    """How a task is judged in its own terms, beside the loss: by the number that its paper reports."""

    name: str  # with its unit: "share of strings right", "NRMSE"
    compute: Callable[[Any, Any], float]  # outputs [B, T, O], or the episodes of one genome, and the split
    threshold: float | None = None  # the least score that counts as solved; None: the paper has no such threshold
    losses: tuple[str, ...] = ()  # those under which outputs are what `compute` expects, say logits; empty: all
    best: float = 0.0  # what a perfect answer scores where there is no threshold: errors 0, accuracies 1

    def judge(self, outputs: Any, split: Any) -> float:
        """What `compute` returns, which may be code of a user's. Raises EvornnError if it is no number."""
        value = self.compute(outputs, split)
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf" or numbers.size != 1:
            got = " ".join(short_repr(value).split())
            raise EvornnError(f"the score {self.name!r} must be one number, got {got}: mend the task")
        return float(numbers.item())


@dataclass(frozen=True)
class Data:
    """A task's three splits, with what is needed to draw and judge forecasts in original units.

    All three are of one kind. Sequences are scaled by statistics of the training data only. Only the final evaluation
    may read `test`.
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
    preparation: Preparation | None = None  # how columns became inputs, and outputs become answers; None: no columns
    warning: str = ""  # what makes results easy to misread; shown with every comparison

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation and test."""
        return self.train, self.valid, self.test

    @property
    def sizes(self) -> tuple[int, int]:
        """The inputs and outputs of a network for it."""
        return self.train.sizes

    @property
    def evaluation(self) -> EvaluationData:
        """What judges results, without the data that networks are trained on."""
        return EvaluationData(
            self.sizes,
            self.loss,
            self.baselines,
            self.labels,
            self.note,
            self.chart,
            self.test,
            self.preparation,
            self.warning,
        )


@dataclass(frozen=True)
class EvaluationData:
    """What it takes to judge and draw the results of a task later, even if its data are gone by then."""

    sizes: tuple[int, int]  # inputs and outputs of a network
    loss: str
    baselines: tuple[Baseline, ...] = ()
    labels: tuple[str, ...] = ()
    note: str = ""
    chart: Chart | None = None
    test: Split | None = None  # None: not kept
    preparation: Preparation | None = None
    warning: str = ""

    def keepable(self) -> EvaluationData:
        """What a store keeps: numbers, and the arrays of sequences unless they take more than MAX_KEPT_BYTES."""
        test = self.test if isinstance(self.test, Sequences) else None
        baselines = [baseline.predictions for baseline in self.baselines]
        arrays = [*baselines, *(value for part in (test, self.chart) if part for value in vars(part).values())]
        if sum(array.nbytes for array in arrays if isinstance(array, np.ndarray | Lazy)) <= MAX_KEPT_BYTES:
            return replace(self, test=test and test.take(np.arange(len(test))))
        return replace(
            self, test=None, chart=None, baselines=tuple(replace(one, predictions=None) for one in self.baselines)
        )


MAX_KEPT_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Chart:
    """What it takes to draw the test forecasts over the real series, in original units: in double precision, since a
    small signal may lie on a large level.

    The network's prediction at the last step of test sequence b, output o, becomes a value in original units by the
    inverse transform of `offset[b, o] + scale[o] * prediction`. Of several series, the test sequences of the first come
    first.
    """

    times: list[str]  # [B] ISO dates or step numbers of the first forecast step of each test sequence
    truth: Doubles  # [B, O]
    offset: Doubles  # [B, O]
    scale: Doubles  # [O], or [B, O] where each series has its own
    unit: str = ""
    history: Doubles = field(default_factory=lambda: np.zeros(0))  # first target, all before the test split
    transform: Transform = "none"  # the transform that precedes standardising, a name in data/scaling.py
    targets: tuple[str, ...] = ("target",)  # G names; O = G × horizon
    naive_errors: Doubles = field(default_factory=lambda: np.zeros(0))  # [G] see `forecast_errors`; empty: unknown
    series: tuple[tuple[str, int], ...] = ()  # name and number of test sequences of each series; empty: there is one
    first_output: int = 0  # of the network's, where these are quantiles: those of the median are drawn

    def errors(self, values: Doubles) -> dict[str, ForecastErrors]:
        """Target → errors of forecasts [B, O] in original units."""
        return forecast_errors(self.targets, self.truth, values, self.naive_errors)

    def inverse_transform(self, predictions: NDArray[Any]) -> Doubles:
        """[B, O] scaled predictions, or [B, levels × O], of which those of the median are taken → original units."""
        count = self.truth.shape[1]
        first = self.first_output if np.shape(predictions)[1] > count else 0
        own = np.asarray(predictions, np.float64)[:, first : first + count]
        return inverse(self.transform, self.offset + self.scale * own)


class Task(ABC):
    """A task is its settings (see `evornn.settings`); `data()` does the work and is the same for every run.

    To write one, derive from it and return a `Data` of three splits; random numbers come from `Streams`. A task that
    draws examples one by one derives from `Generated`, one that predicts a series from `Forecasting`.

    >>> from evornn.arrays import Streams
    >>> from evornn.settings import settings
    >>> @settings
    ... class Delay(Task):
    ...     length: int = 8
    ...     def data(self):
    ...         def split(k):
    ...             x = Streams(0, "delay").at(k).uniform(-1, 1, (20, self.length, 1)).astype(np.float32)
    ...             return Sequences(x, np.roll(x, 1, axis=1), np.ones((20, self.length), bool))
    ...         return Data(split(0), split(1), split(2), loss="mse", labels=("the last input",))
    >>> Delay(length=5).data().sizes   # inputs, outputs
    (1, 1)
    """

    causal: ClassVar[bool] = True  # networks that see the future are refused

    @abstractmethod
    def data(self) -> Data:
        """Load or generate, split, scale; deterministic. Raises EvornnError with what to do about bad data."""
