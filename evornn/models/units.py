"""Between columns in their own units and the numbers of a network: one walk through a preparation for every format.

A format is a `UnitsEmitter`, as it is an `Emitter` for the step. All of this is in double precision: a small signal may
lie on a large level. What a network reads is rounded to single precision at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles, Transform

V = TypeVar("V")


class UnitsEmitter(Protocol[V]):
    """How a format writes arrays of doubles whose last axis has `size` numbers."""

    def constant(self, values: Doubles) -> V:
        """Numbers [size] that the file holds."""

    def take(self, value: V, positions: Sequence[int]) -> V:
        """Some of the numbers."""

    def join(self, parts: Sequence[V]) -> V:
        """One after the other."""

    def apply(self, op: str, *args: V) -> V:
        """Of equal sizes: add, sub, mul, div, sqrt, log1p, expm1, relu, sin."""

    def one_hot(self, value: V, count: int) -> V:
        """The position of a category [1] → 1 for this one and 0 for all others [count]; all 0 for a missing one."""

    def softmax(self, value: V) -> V:
        """Probabilities of logits."""

    def is_missing(self, value: V) -> V:
        """1 where a value is missing (NaN), else 0."""

    def fill(self, value: V) -> V:
        """With 0 where a value is missing (NaN)."""

    def narrow(self, value: V) -> V:
        """In single precision."""

    def widen(self, value: V) -> V:
        """Back in double precision."""


@dataclass(frozen=True)
class Source:
    """A number of a row as a model reads it: a column's value, in this row, a later one or the one before, or where a
    time stands in a cycle of the calendar, from 0 to 1."""

    column: str
    cycle: str = ""  # a part of the calendar; empty: the value itself
    ahead: int = 0  # rows later; −1: the row before

    @property
    def is_given(self) -> bool:
        """Whether it has to be given: it is no value of the row before."""
        return self.ahead >= 0

    @property
    def name(self) -> str:
        """For people."""
        what = f"{self.cycle} of {self.column}, 0 to 1" if self.cycle else self.column
        return f"{what}{self.ahead:+d}" if self.ahead else what


def sources(preparation: Preparation) -> tuple[Source, ...]:
    """The numbers [C] of a row, each once: the features', then those of the last known values that answers are added
    to."""
    features = [source for feature in preparation.features for source in sources_of(feature)]
    levels = [Source(answer.column) for answer in preparation.answers if answer.difference]
    return tuple(dict.fromkeys([*features, *levels]))


def sources_of(feature: Feature) -> tuple[Source, ...]:
    """What a feature is made of: a change of two, all others of one."""
    own = Source(feature.column, feature.cycle, feature.ahead)
    return (own, replace(own, ahead=-1)) if feature.derived == "change" else (own,)


def fill_previous(preparation: Preparation, rows: Doubles) -> Doubles:
    """Consecutive rows [..., T, C] with the values of the row before, where these are not known yet."""
    known = sources(preparation)
    places = [(k, known.index(Source(source.column))) for k, source in enumerate(known) if not source.is_given]
    rows = rows.copy() if places else rows
    for previous, level in places:
        own = rows[..., 1:, previous]
        np.copyto(own, rows[..., :-1, level], where=np.isnan(own))
    return rows


def columns(preparation: Preparation) -> tuple[str, ...]:
    """The names of `sources` [C]."""
    return tuple(source.name for source in sources(preparation))


def for_group(preparation: Preparation, group: str) -> Preparation:
    """With the scales of one group, where each has its own; a group without one has that of all."""
    features, answers = (
        tuple(_scale_of(p, group) for p in side) for side in (preparation.features, preparation.answers)
    )
    return replace(preparation, features=features, answers=answers)


def _scale_of(part: Any, group: str) -> Any:
    scales = {name: (mean, std) for name, mean, std in part.scales}
    mean, std = scales.get(group, (part.mean, part.std))
    return replace(part, mean=mean, std=std, scales=()) if scales else part


def emit_inputs(preparation: Preparation, emitter: UnitsEmitter[V], row: V) -> V:
    """Write the way into the network.

    Args:
        preparation: Of the model.
        emitter: The format.
        row: The numbers of `sources`; of a category, its position among the feature's.

    Returns:
        What the network reads [I], in single precision.
    """
    known, parts = sources(preparation), list[V]()
    for (special, transform), alike in groupby(preparation.features, _kind):
        features = list(alike)
        places = [[known.index(source) for source in sources_of(feature)] for feature in features]
        if not special:
            parts.append(_standardise(emitter, emitter.take(row, [k for (k,) in places]), transform, features))
            continue
        for feature, own in zip(features, places, strict=True):
            parts.append(_special(emitter, emitter.take(row, own), feature))
    value = emitter.join(parts)
    # a missing value, where these are allowed, is the mean of the training rows; so is one beyond the data's ends
    may_lack = preparation.missing != "refuse" or any(source.ahead for source in known)
    return emitter.narrow(emitter.fill(value) if may_lack else value)


def _kind(feature: Feature) -> tuple[bool, Transform]:
    """Whether it is more than a scaled number, and its transform."""
    return bool(feature.categories or feature.derived), feature.transform


def _special(emitter: UnitsEmitter[V], value: V, feature: Feature) -> V:
    """Of one number: one-hot, whether it is missing, or sine and cosine; of two, their scaled difference."""
    if feature.categories:
        return emitter.one_hot(value, len(feature.categories))
    if feature.derived == "missing":
        return emitter.is_missing(value)
    if feature.derived == "change":
        value = value if feature.transform == "none" else emitter.apply(feature.transform, value)
        change = emitter.apply("sub", emitter.take(value, [0]), emitter.take(value, [1]))
        return _standardise(emitter, change, "none", [feature])
    turn = emitter.apply("mul", value, emitter.constant(np.array([2 * np.pi])))
    quarter = emitter.apply("add", turn, emitter.constant(np.array([np.pi / 2])))
    return emitter.join([emitter.apply("sin", turn), emitter.apply("sin", quarter)])


def emit_answers(preparation: Preparation, emitter: UnitsEmitter[V], outputs: V, row: V) -> V:
    """Write the way out of the network.

    Args:
        preparation: Of the model.
        emitter: The format.
        outputs: The network's [O], in single precision.
        row: The values of `columns` at this step.

    Returns:
        [O] numbers in their own units, all steps ahead of the first answer first; probabilities of categories.
    """
    known, parts, start = sources(preparation), list[V](), 0
    outputs = emitter.widen(outputs)
    for answer in preparation.answers:
        own = emitter.take(outputs, range(start, start + answer.width))
        start += answer.width
        if answer.categories:
            parts.append(emitter.softmax(own))
            continue
        parts.append(_restore(emitter, own, row, known, answer))
    return emitter.join(parts)


def about_units(preparation: Preparation | None) -> str:
    """What goes in and comes out, for a file's comment; nothing without a preparation."""
    if preparation is None:
        return ""
    categories = {sources_of(feature)[0]: feature.categories for feature in preparation.features}
    lines = ["", "Inputs, in their own units, double precision:"]
    lines += [f"    {k}: {_about(s, categories.get(s, ()))}" for k, s in enumerate(sources(preparation))]
    lines += ["Outputs:"]
    position = 0
    for answer in preparation.answers:
        last = position + answer.width - 1
        ahead = f", 1 to {answer.horizon} rows ahead" if preparation.question == "forecast" else ""
        names = f", probabilities of {', '.join(map(_word, answer.categories))}" if answer.categories else ""
        lines.append(f"    {position}{f' to {last}' * (last > position)}: {_line(answer.name + names)}{ahead}")
        position = last + 1
    return "\n".join(lines) + "\n"


def _about(source: Source, categories: tuple[str, ...]) -> str:
    codes = ", ".join(f"{k} = {_word(name)}" for k, name in enumerate(categories))
    codes = codes if source.is_given else f"{source.column} of the row before, NaN in the first one"
    return _line(f"{source.name} ({codes})" if codes else source.name)


def _word(name: str) -> str:
    """A category as a comment can have it; spaces and line breaks of a text in quotes."""
    return name if name and name == _line(name) else repr(name)


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _standardise(
    emitter: UnitsEmitter[V], value: V, transform: Transform, parts: Sequence[Feature | OutputColumn]
) -> V:
    """(transform(x) − mean) / std for numbers with the same transform."""
    if transform != "none":
        value = emitter.apply(transform, value)
    mean, std = (np.array([getattr(part, name) for part in parts], np.float64) for name in ("mean", "std"))
    return emitter.apply("div", emitter.apply("sub", value, emitter.constant(mean)), emitter.constant(std))


def _restore(emitter: UnitsEmitter[V], outputs: V, row: V, known: Sequence[Source], answer: OutputColumn) -> V:
    """The inverse transform of mean + std·level + std·output, in the order of `Chart.inverse_transform`."""
    ahead = answer.horizon
    offset, std = (emitter.constant(np.full(ahead, number, np.float64)) for number in (answer.mean, answer.std))
    if answer.difference:
        last = emitter.take(row, [known.index(Source(answer.column))] * ahead)
        level = _standardise(emitter, last, answer.transform, [answer] * ahead)
        offset = emitter.apply("add", offset, emitter.apply("mul", std, level))
    value = emitter.apply("add", offset, emitter.apply("mul", std, outputs))
    if answer.transform == "log1p":
        return emitter.apply("expm1", value)
    if answer.transform == "sqrt":  # a negative root becomes the nearest possible one
        root = emitter.apply("relu", value)
        return emitter.apply("mul", root, root)
    return value


def _relu(value: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    return np.asarray(np.maximum(value, 0.0, out=out))


class NumpyUnits:
    """Computes at once: arrays [..., size]."""

    OPERATIONS: ClassVar[dict[str, Any]] = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "div": np.divide,
        "sqrt": np.sqrt,
        "log1p": np.log1p,
        "expm1": np.expm1,
        "relu": _relu,
        "sin": np.sin,
    }

    def constant(self, values: Doubles) -> NDArray[Any]:
        return values

    def take(self, value: NDArray[Any], positions: Sequence[int]) -> NDArray[Any]:
        first, last = positions[0], positions[-1]
        if list(positions) == list(range(first, last + 1)):
            return value[..., first : last + 1]
        return np.asarray(value[..., list(positions)])

    def join(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def apply(self, op: str, *args: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a value without a transform is NaN
            return np.asarray(self.OPERATIONS[op](*args))

    def one_hot(self, value: NDArray[Any], count: int) -> NDArray[Any]:
        return np.asarray((value == np.arange(count)).astype(np.float64))

    def softmax(self, value: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(invalid="ignore"):
            powers = np.exp(value - value.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def is_missing(self, value: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.isnan(value).astype(np.float64))

    def fill(self, value: NDArray[Any]) -> NDArray[Any]:
        return np.where(np.isnan(value), 0.0, value)

    def narrow(self, value: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.asarray(value.astype(np.float32))

    def widen(self, value: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(value.astype(np.float64))


class RowUnits:
    """Lists calls into arrays [size] that are made once, for one row after the other."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def constant(self, values: Doubles) -> NDArray[Any]:
        return values

    def take(self, value: NDArray[Any], positions: Sequence[int]) -> NDArray[Any]:
        first, last = positions[0], positions[-1]
        if list(positions) == list(range(first, last + 1)):
            return value[first : last + 1]
        return self.join([value[k : k + 1] for k in positions])

    def join(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        if len(parts) == 1:
            return parts[0]
        sizes = [len(part) for part in parts]
        whole = np.zeros(sum(sizes))
        places = np.split(whole, np.cumsum(sizes)[:-1])
        self.calls += [(np.copyto, (place, part)) for place, part in zip(places, parts, strict=True)]
        return whole

    def apply(self, op: str, *args: NDArray[Any]) -> NDArray[Any]:
        return self._call(NumpyUnits.OPERATIONS[op], args, np.zeros(len(args[0])))

    def one_hot(self, value: NDArray[Any], count: int) -> NDArray[Any]:
        return self._call(np.equal, (value, np.arange(count, dtype=np.float64)), np.zeros(count))

    def softmax(self, value: NDArray[Any]) -> NDArray[Any]:
        return self._call(_softmax_into, (value,), np.zeros(len(value)))

    def is_missing(self, value: NDArray[Any]) -> NDArray[Any]:
        return self._call(_missing_into, (value,), np.zeros(len(value)))

    def fill(self, value: NDArray[Any]) -> NDArray[Any]:
        return self._call(_fill_into, (value,), np.zeros(len(value)))

    def narrow(self, value: NDArray[Any]) -> NDArray[Any]:
        return self._call(_copy_into, (value,), np.zeros(len(value), np.float32))

    def widen(self, value: NDArray[Any]) -> NDArray[Any]:
        return self._call(_copy_into, (value,), np.zeros(len(value)))

    def _call(self, function: Any, args: Sequence[Any], out: NDArray[Any]) -> NDArray[Any]:
        self.calls.append((function, (*args, out)))
        return out


def _copy_into(value: NDArray[Any], out: NDArray[Any]) -> None:
    np.copyto(out, value, "same_kind")


def _fill_into(value: NDArray[Any], out: NDArray[Any]) -> None:
    out[:] = NumpyUnits().fill(value)


def _missing_into(value: NDArray[Any], out: NDArray[Any]) -> None:
    np.copyto(out, np.isnan(value))


def _softmax_into(value: NDArray[Any], out: NDArray[Any]) -> None:
    out[:] = NumpyUnits().softmax(value)


def to_inputs(preparation: Preparation, rows: Doubles) -> NDArray[np.float32]:
    """Rows of `columns` [..., C] → what the network reads [..., I]."""
    return np.asarray(emit_inputs(preparation, NumpyUnits(), rows), np.float32)


def to_answers(preparation: Preparation, outputs: NDArray[Any], rows: Doubles) -> Doubles:
    """Outputs [..., O] at rows of `columns` [..., C] → answers [..., O] in their own units."""
    return sort_levels(preparation, np.asarray(emit_answers(preparation, NumpyUnits(), outputs, rows), np.float64))


def sort_levels(preparation: Preparation, answers: NDArray[Any]) -> NDArray[Any]:
    """Answers [..., O] whose quantiles don't cross: those of a higher level are not lower (Chernozhukov, Fernández-Val
    & Galichon 2010, "Quantile and probability curves without crossing"). Unchanged without quantiles."""
    levels = len({answer.level for answer in preparation.answers})
    if levels == 1:
        return answers
    shape = answers.shape
    return np.sort(answers.reshape(*shape[:-1], levels, -1), axis=-2).reshape(shape)
