"""Generated tasks: examples are drawn one at a time and never twice, so that the splits share no sequence."""

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
TRIES = 1000  # draws in a row without a new example, after which the task counts as exhausted


class Example(NamedTuple):
    """One sequence. Only its last `loss_steps` steps count in the loss."""

    inputs: Series  # [T, I]
    targets: Series  # [T, O]; ignored where a step does not count
    loss_steps: int


@settings
class Generated(Task):
    """A task whose examples are drawn at random. Its settings say how many different sequences, and from which seed.

    To write one, derive from it and write `example`, `labels` and, if the paper has its own measure, `score`.
    """

    train: Annotated[int, Ge(1)] = 1000
    valid: Annotated[int, Ge(1)] = 500
    test: Annotated[int, Ge(1)] = 1000
    data_seed: Annotated[int, Ge(0)] = 0

    loss: ClassVar[str] = "binary_cross_entropy"  # a spec may name another
    paper: ClassVar[str]

    @abstractmethod
    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """Draw one example of a split."""

    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The names of the O outputs."""

    def score(self) -> Score | None:
        """The measure that the paper reports; None: it has none."""
        return None

    def draw_examples(self, draw: Callable[[], Example], count: int, seen: set[bytes]) -> list[Example]:
        """The examples of one split.

        Args:
            draw: draws one example.
            count: how many.
            seen: the inputs of earlier splits, which are excluded; grows by the new ones.

        Raises:
            EvornnError: there are too few different examples.
        """
        return draw_distinct(draw, count, seen)

    def data(self) -> Data:
        """Three splits, each padded to its longest sequence; no example occurs in two of them."""
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
        """A random length of a sequence.

        Args:
            split: "test" draws from `length` + 1 … `test_length`, the others from `minimum` … `length`.
            rng: draws it.
            minimum: of training and validation.
        """
        low, high = (self.length + 1, self.test_length) if split == "test" else (minimum, self.length)
        return int(rng.integers(low, high + 1))


def draw_distinct(draw: Callable[[], Example], count: int, seen: set[bytes]) -> list[Example]:
    """Draw examples with different inputs.

    Args:
        draw: draws one example.
        count: how many.
        seen: inputs (as bytes) that are excluded; grows by the new ones.

    Raises:
        EvornnError: 1,000 draws in a row brought nothing new.
    """
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
                f"the task has too few different sequences for {count} that no split has seen before: "
                "lower train, valid or test, or make the sequences longer"
            )
    return examples


def pad_sequences(examples: Sequence[Example]) -> Sequences:
    """[B, T, …] with zeros after the end of sequences shorter than the longest. Raises EvornnError for an example whose
    arrays don't fit together."""
    for example in examples:
        _check_shapes(example)
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


def _check_shapes(example: Example) -> None:
    inputs, targets = example.inputs.shape, example.targets.shape
    if not (len(inputs) == len(targets) == 2 and inputs[0] == targets[0] >= example.loss_steps >= 1):
        raise EvornnError(
            f"an Example wants inputs [T, I], targets [T, O] and 1 to T loss_steps, got inputs {list(inputs)}, "
            f"targets {list(targets)} and loss_steps={example.loss_steps}"
        )


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
    """Three splits as data whose baseline is chance.

    Args:
        train: the split to train on.
        valid: the split to choose by.
        test: the split to judge by.
        loss: a name in `kernels/losses.py`.
        labels: names of the O outputs.
        note: source and licence.
        score: the paper's own measure.
    """
    baselines = (chance(loss, train, valid, test),)
    return Data(train, valid, test, loss=loss, baselines=baselines, labels=labels, note=note, score=score)


def one_hot(symbols: Sequence[int] | NDArray[np.int64], count: int) -> Series:
    """[T] symbol numbers → [T, count]."""
    return np.eye(count, dtype=np.float32)[np.asarray(symbols, np.int64)]
