"""Arrays as tables: sequences X [B, T, I] and what belongs to them become one row per step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.frames import read_frame
from evornn.data.opening import DAMAGED, damage_error
from evornn.data.options import ReadOptions
from evornn.data.table import SEQUENCE
from evornn.errors import EvornnError

Arrays: TypeAlias = Mapping[str, Any]


def read_npz(path: Path, options: ReadOptions) -> Contents:
    """The arrays of an NPZ file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except DAMAGED as error:
        raise _unreadable(path, error) from None
    return read_arrays(arrays, path.name, options, "NPZ")


def read_npy(path: Path, options: ReadOptions) -> Contents:
    """The array of an NPY file: [N], [N, C] or [B, T, I]."""
    try:
        array = np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise _unreadable(path, error) from None
    return read_arrays({"": array}, path.name, options, "NPY")


def read_arrays(arrays: Arrays, source: str, options: ReadOptions, kind: str = "arrays") -> Contents:
    """Columns [N] or [N, C]; or sequences [B, T, I], with which others go as [B, T, …] (a value per step) or [B, …]
    (one for all steps). Sequences of unequal lengths are a list of [T, I]; or they end with rows of NaN.

    Raises EvornnError for shapes that don't belong together.
    """
    if not arrays:
        raise EvornnError(f"{source}: holds no arrays: give X [B, T, I] and y")
    lists = {str(name): value for name, value in arrays.items() if _is_list_of_sequences(value)}
    whole = {str(name): _array(name, value, source) for name, value in arrays.items() if str(name) not in lists}
    if not lists and max(array.ndim for array in whole.values()) < 3:
        return _plain(whole, source, options, kind)
    if not lists:
        longest = max(whole.values(), key=lambda array: array.ndim)
        lists = {name: list(array) for name, array in whole.items() if array.shape[:2] == longest.shape[:2]}
        whole = {name: array for name, array in whole.items() if name not in lists}
    return _sequences(lists, whole, source, options, kind)


def read_examples(examples: Any, options: ReadOptions) -> Contents:
    """A torch `Dataset`, or any list, of pairs (x [T, I], y)."""
    try:
        pairs = [examples[k] for k in range(len(examples))]
        inputs = [_two_dimensional(np.asarray(x)) for x, _ in pairs]
        targets = [np.asarray(y) for _, y in pairs]
        is_per_step = bool(targets) and all(y.ndim and len(y) == len(x) for x, y in zip(inputs, targets, strict=True))
        y: Any = [_two_dimensional(one) for one in targets] if is_per_step else np.array(targets)
    except (TypeError, ValueError, IndexError) as error:
        raise EvornnError(f"the data set: its items are no pairs (x [T, I], y) ({error}): give such pairs") from None
    return read_arrays({"X": inputs, "y": y}, "the data set", options, "examples")


def _plain(arrays: dict[str, NDArray[Any]], source: str, options: ReadOptions, kind: str) -> Contents:
    """Rows of columns."""
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise EvornnError(f"{source}: {_shapes(arrays)}: give all columns the same length, or sequences as [B, T, I]")
    frame = _frame([column for key, array in arrays.items() for column in _columns(key, array)])
    contents = read_frame(frame, options, source)
    flat = next((name for name, array in arrays.items() if array.ndim == 2 and array.shape[1] > 1), None)
    doubts = list(contents.doubts)
    if flat is not None and len(arrays) > 1:
        shape = arrays[flat].shape
        question = f"{flat} is {list(shape)}: read as {shape[0]} rows of columns; sequences of one number are [B, T, 1]"
        doubts.append(Doubt(question))
    return Contents(contents.table, tuple(doubts), {"format": kind})


def _sequences(
    lists: dict[str, list[NDArray[Any]]], whole: dict[str, NDArray[Any]], source: str, options: ReadOptions, kind: str
) -> Contents:
    """Rows of all sequences below one another."""
    first = next(iter(lists))
    count, lengths = len(lists[first]), [len(one) for one in lists[first]]
    for name, parts in lists.items():
        if [len(one) for one in parts] != lengths:
            raise EvornnError(f"{source}: {name} and {first} have sequences of other lengths: give each step both")
    for name, array in whole.items():
        if len(array) != count:
            raise EvornnError(f"{source}: {name} has {len(array)} values for {count} sequences: give one for each")
    numbers = pd.Categorical.from_codes(np.repeat(np.arange(count), lengths), [str(k + 1) for k in range(count)])
    values = [one for name, parts in lists.items() for one in _columns(name, _join(name, parts, source))]
    constants = [
        one for name, array in whole.items() for one in _columns(name, np.repeat(array.reshape(count, -1), lengths, 0))
    ]
    frame, padded = _without_padding(_frame([(SEQUENCE, numbers), *values, *constants]), len(values))
    contents = read_frame(frame, options, source)
    note = (Doubt(f"{padded} steps without any value at the ends of sequences are left out as padding"),)
    return Contents(contents.table, (*contents.doubts, *(note if padded else ())), {"format": kind}, True)


def _join(name: str, parts: list[NDArray[Any]], source: str) -> NDArray[Any]:
    """[N, I] the steps of all sequences."""
    empty = next((k + 1 for k, part in enumerate(parts) if not part.size), None)
    if empty is not None:
        raise EvornnError(f"{source}: sequence {empty} of {name} is empty: leave it out")
    widths = {_two_dimensional(part).shape[1] for part in parts}
    if len(widths) > 1:
        few, many = min(widths), max(widths)
        raise EvornnError(f"{source}: {name} has from {few} to {many} values in a step: give all steps the same")
    return np.concatenate([_two_dimensional(part) for part in parts])


def _without_padding(frame: Any, count: int) -> tuple[Any, int]:
    """Without the last steps of sequences that have no value in the first `count` columns after their number. The first
    step of a sequence is kept."""
    sequence, has_value = frame.iloc[:, 0], frame.iloc[:, 1 : count + 1].notna().any(axis=1)
    later = has_value[::-1].groupby(sequence[::-1], observed=True).cummax()[::-1]
    kept = later | ~sequence.duplicated()
    return frame[kept].reset_index(drop=True), int((~kept).sum())


def _frame(columns: list[tuple[str, Any]]) -> Any:
    """Columns in order, whose names may be the same."""
    return pd.DataFrame(dict(enumerate(column for _, column in columns))).set_axis(
        [name for name, _ in columns], axis=1
    )


def _columns(name: str, array: NDArray[Any]) -> list[tuple[str, Any]]:
    """Names and values of an array's columns: y, or X1, X2, …"""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1 and name:
        return [(name, flat[:, 0])]
    return [(f"{name}{k + 1}", flat[:, k]) for k in range(flat.shape[1])]


def _two_dimensional(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(len(array), -1) if array.ndim != 1 else array[:, None]


def _is_list_of_sequences(value: Any) -> bool:
    """Whether it is a list of arrays [T, I], or an array that holds some."""
    is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object)
    return is_list and len(value) > 0 and all(isinstance(one, np.ndarray) and one.ndim in (1, 2) for one in value)


def _array(name: str, value: Any, source: str) -> NDArray[Any]:
    """An array of at most three dimensions. Raises EvornnError for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:
        advice = "give sequences of unequal lengths as a list of arrays [T, I]"
        raise EvornnError(f"{source}: {name} is no array: {advice}") from None
    called = name or "it"
    if array.ndim == 0 or array.ndim > 3 or not array.size:
        raise EvornnError(f"{source}: {called} is {list(array.shape)}: give X [B, T, I], or columns [N]")
    if array.dtype.names:
        raise EvornnError(f"{source}: {called} has fields: give each as an array of its own")
    if array.dtype.kind == "c":
        raise EvornnError(f"{source}: {called} is complex: give real and imaginary part as columns")
    return array


def _shapes(arrays: dict[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} is {list(array.shape)}" for name, array in arrays.items())


def _unreadable(path: Path, error: Exception) -> EvornnError:
    if "pickle" in str(error).lower():
        return EvornnError(f"{path}: holds Python objects, which could run code: save plain arrays")
    return damage_error(path, error)
