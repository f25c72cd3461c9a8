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
    lists = {name: value for name, value in arrays.items() if _is_list_of_sequences(value)}
    whole = {name: np.asarray(value) for name, value in arrays.items() if name not in lists}
    for name, array in whole.items():
        _check_array(name, array, source)
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
    except (TypeError, ValueError, IndexError) as error:
        raise EvornnError(f"the data set: its items are no pairs (x [T, I], y) ({error}): give such pairs") from None
    per_step = bool(targets) and all(y.ndim and len(y) == len(x) for x, y in zip(inputs, targets, strict=True))
    y: Any = [_two_dimensional(one) for one in targets] if per_step else np.array(targets)
    return read_arrays({"X": inputs, "y": y}, "the data set", options, "examples")


def _plain(arrays: dict[str, NDArray[Any]], source: str, options: ReadOptions, kind: str) -> Contents:
    """Rows of columns."""
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise EvornnError(f"{source}: {_shapes(arrays)}: give all columns the same length, or sequences as [B, T, I]")
    frame = pd.DataFrame({name: column for key, array in arrays.items() for name, column in _columns(key, array)})
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
    columns: dict[str, Any] = {SEQUENCE: pd.Categorical(np.repeat(np.arange(1, count + 1), lengths).astype(str))}
    for name in list(lists):
        columns.update(_columns(name, np.concatenate([_two_dimensional(part) for part in lists[name]])))
    for name, array in whole.items():
        columns.update(_columns(name, np.repeat(array.reshape(count, -1), lengths, axis=0)))
    columns[SEQUENCE] = pd.Categorical(columns[SEQUENCE], [str(k + 1) for k in range(count)])
    frame, padded = _without_padding(pd.DataFrame(columns), [n for key in lists for n in columns if n.startswith(key)])
    contents = read_frame(frame, options, source)
    note = (Doubt(f"{padded} steps without any value at the ends of sequences are left out as padding"),)
    return Contents(contents.table, (*contents.doubts, *(note if padded else ())), {"format": kind}, True)


def _without_padding(frame: Any, names: list[str]) -> tuple[Any, int]:
    """Without the last steps of sequences that have no value; those of an empty sequence but its first."""
    has_value = frame[names].notna().any(axis=1)
    later = has_value[::-1].groupby(frame[SEQUENCE][::-1], observed=True).cummax()[::-1]
    first = ~frame[SEQUENCE].duplicated()
    kept = later | first
    return frame[kept].reset_index(drop=True), int((~kept).sum())


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


def _check_array(name: str, array: NDArray[Any], source: str) -> None:
    called = name or "it"
    if array.ndim == 0 or array.ndim > 3 or not array.size:
        raise EvornnError(f"{source}: {called} is {list(array.shape)}: give X [B, T, I], or columns [N]")
    if array.dtype.names:
        raise EvornnError(f"{source}: {called} has fields: give each as an array of its own")
    if array.dtype.kind == "c":
        raise EvornnError(f"{source}: {called} is complex: give real and imaginary part as columns")


def _shapes(arrays: dict[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} is {list(array.shape)}" for name, array in arrays.items())


def _unreadable(path: Path, error: Exception) -> EvornnError:
    if "pickle" in str(error).lower():
        return EvornnError(f"{path}: holds Python objects, which could run code: save plain arrays")
    return damage_error(path, error)
