"""Generated tasks: examples drawn one at a time, each once, so that no split has seen what another one asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from evornn.arrays import Series, Streams
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core.chance import chance
from evornn.tasks.core.task import Data, Score, Sequences, Task

SplitName: TypeAlias = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
TRIES = 1000  # draws in a row that bring nothing new, before we say that there is nothing new


class Example(NamedTuple):
    """One sequence. Only the last `counted` steps are in the loss."""

    inputs: Series  # [T, I]
    targets: Series  # [T, O]; what is not counted is ignored
    loss_steps: int


@settings
class Generated(Task):
    """What every generated task can be set to: how many different sequences, and from which seed."""

    train: Annotated[int, Ge(1)] = 1000
    valid: Annotated[int, Ge(1)] = 500
    test: Annotated[int, Ge(1)] = 1000
    data_seed: Annotated[int, Ge(0)] = 0

    loss: ClassVar[str] = "binary_cross_entropy"  # of the data; a spec may name another
    paper: ClassVar[str]

    @abstractmethod
    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """Draw one."""

    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names of the O outputs."""

    def score(self) -> Score | None:
        """How the paper judges."""
        return None

    def draw_examples(self, draw: Callable[[], Example], count: int, seen: set[bytes]) -> list[Example]:
        """A split: `count` examples that nothing has seen before."""
        return draw_distinct(draw, count, seen)

    def data(self) -> Data:
        """Three splits, each padded to its longest sequence; the examples of all three are different."""
        seen: set[bytes] = set()
        streams = Streams(self.data_seed, type(self).__name__)
        splits = []
        for split, count in zip(SPLITS, (self.train, self.valid, self.test), strict=True):
            draw = partial(self.example, split, streams.child(split).at(0))
            splits.append(pad_sequences(self.draw_examples(draw, count, seen)))
        note = f"{self.paper}, generated with data_seed {self.data_seed}."
        return make_data(*splits, loss=self.loss, labels=self.labels(), note=note, score=self.score())


@settings
class LengthGeneralisation(Generated):
    """A generated task whose test sequences are all longer than those of training and validation."""

    length: Annotated[int, Ge(1)] = 20  # at most, in training and validation
    test_length: Annotated[int, Ge(2)] = 50  # at most, in the test

    @field_validator("test_length")
    @classmethod
    def _test_is_longer(cls, test_length: int, info: ValidationInfo) -> int:
        if test_length <= info.data.get("length", 0):
            raise ValueError("test sequences are longer than those to train on: set it above length")
        return test_length

    def draw_length(self, split: SplitName, rng: np.random.Generator, minimum: int = 1) -> int:
        """`least` … `length`, or in the test `length` + 1 … `test_length`."""
        low, high = (self.length + 1, self.test_length) if split == "test" else (minimum, self.length)
        return int(rng.integers(low, high + 1))


def draw_distinct(draw: Callable[[], Example], count: int, seen: set[bytes]) -> list[Example]:
    """`count` examples whose inputs are not among `seen`, which grows. Raises EvornnError when there are no more."""
    examples: list[Example] = []
    idle = 0
    while len(examples) < count:
        example = draw()
        key = example.inputs.tobytes()
        if key not in seen:
            seen.add(key)
            examples.append(example)
            idle = 0
        elif (idle := idle + 1) == TRIES:
            raise EvornnError(
                f"the task has too few different sequences for {count} that nothing has seen before: "
                "lower train, valid or test, or make the sequences longer"
            )
    return examples


def pad_sequences(examples: Sequence[Example]) -> Sequences:
    """[B, T, …] with zeros behind the end of what is shorter than the longest."""
    longest = max(len(example.inputs) for example in examples)
    first = examples[0]
    inputs = np.zeros((len(examples), longest, first.inputs.shape[1]), np.float32)
    targets = np.zeros((len(examples), longest, first.targets.shape[1]), np.float32)
    mask = np.zeros((len(examples), longest), np.bool_)
    for row, example in enumerate(examples):
        end = len(example.inputs)
        inputs[row, :end], targets[row, :end] = example.inputs, example.targets
        mask[row, end - example.loss_steps : end] = True
    targets[~mask] = 0.0
    return Sequences(inputs, targets, mask)


def make_data(
    train: Sequences,
    valid: Sequences,
    test: Sequences,
    *,
    loss: str,
    labels: tuple[str, ...],
    note: str,
    score: Score | None = None,
) -> Data:
    """Splits as data whose baseline is chance."""
    baselines = (chance(loss, train, valid, test),)
    return Data(train, valid, test, loss=loss, baselines=baselines, labels=labels, note=note, score=score)


def one_hot(symbols: Sequence[int] | NDArray[np.int64], count: int) -> Series:
    """[T] numbers of symbols → [T, count]."""
    return np.eye(count, dtype=np.float32)[np.asarray(symbols, np.int64)]
