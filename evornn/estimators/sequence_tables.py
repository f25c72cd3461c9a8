"""What people give an estimator as X and y, as tables: sequences [T, I] below one another, a column for each input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, check_X_y, validate_data

from evornn.data.groups import list_groups
from evornn.data.reading import read
from evornn.data.table import SEQUENCE, Column, Table
from evornn.estimators.base import InvalidData

Targets: TypeAlias = NDArray[Any]  # [B] or [B, O]


@dataclass(frozen=True)
class SequenceTable:
    """B sequences as a table."""

    table: Table
    group: str  # the column that tells them apart

    @property
    def positions(self) -> NDArray[np.int64]:
        """[N] the number of each row's sequence, counted from 0 in the order in which they begin."""
        numbers = np.empty(len(self.table), np.int64)
        for k, group in enumerate(list_groups(self.table, self.group, None)):
            numbers[group.rows] = k
        return numbers

    def with_columns(self, columns: list[Column]) -> Table:
        """With further columns, of a value [B] for each sequence."""
        rows = self.positions
        return replace(self.table, columns=(*self.table.columns, *(column.take(rows) for column in columns)))


def read_sequences(estimator: Any, X: Any, group: str | None, allow_nan: bool, reset: bool) -> SequenceTable:
    """X as a table.

    Args:
        estimator: Learns the number and names of the inputs, or has them checked.
        X: [B, T, I]; a list of [T, I]; a frame, with a column for the group or a row for each sequence; or [B, I].
        group: The column of a frame that tells sequences apart; None: each row is one.
        allow_nan: Whether [B, I] may lack values.
        reset: Whether the estimator learns its inputs.
    """
    if isinstance(X, pd.DataFrame):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        table = read(X)
        return SequenceTable(table, group) if group is not None else _row_by_row(table)
    if group is not None:
        raise InvalidData(f"group is {group!r}, but X is no frame: leave group out, or give a frame")
    return SequenceTable(read({"X": check_sequences(estimator, X, allow_nan, reset)}), SEQUENCE)


def check_sequences(estimator: Any, X: Any, allow_nan: bool, reset: bool) -> list[NDArray[np.float64]]:
    """[T, I] of each sequence, checked as `validate_data` does."""
    sequences = as_sequences(X)
    if sequences is None:  # sequences of one step
        finite = "allow-nan" if allow_nan else True
        least = 3 if reset else 1  # for training, choice and metrics
        how = {"dtype": np.float64, "ensure_all_finite": finite, "ensure_min_samples": least}
        return list(validate_data(estimator, X, reset=reset, **how)[:, None])
    if widths := {one.shape[1] for one in sequences} - {sequences[0].shape[1]}:
        raise InvalidData(f"X has sequences of {sequences[0].shape[1]} and of {min(widths)} inputs: give all the same")
    steps = np.concatenate(sequences)  # NaN may be padding; others are refused when inputs are read
    checked = validate_data(estimator, steps, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
    return np.split(checked, np.cumsum([len(one) for one in sequences])[:-1])


def as_sequences(X: Any) -> list[NDArray[Any]] | None:
    """The arrays [T, I] of X [B, T, I] or of a list; None: X is something else."""
    is_list = isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.ndim in (1, 3))
    if not is_list or not len(X) or any(getattr(one, "ndim", 0) != 2 for one in X):
        return None
    return [np.asarray(one) for one in X]


def read_classes(y: Any, count: int) -> NDArray[Any]:
    """[B] one class for each sequence."""
    return np.asarray(check_X_y(np.zeros((count, 1)), _required(y), dtype=None)[1])


def read_numbers(y: Any, count: int) -> NDArray[np.float64]:
    """[B] or [B, O] numbers for each sequence."""
    return np.asarray(check_X_y(np.zeros((count, 1)), _required(y), multi_output=True, y_numeric=True)[1], np.float64)


def per_sequence(y: Any, X: Any, group: str | None) -> Any:
    """One value for each sequence, where a frame's rows have one each."""
    if group is None or not isinstance(X, pd.DataFrame) or y is None or len(y) != len(X):
        return y
    values = np.asarray(check_array(y, ensure_2d=False, dtype=None))
    names = X[group].to_numpy()
    varies = pd.DataFrame(values).groupby(names, sort=False).nunique().gt(1).any(axis=1)
    if varies.any():
        raise InvalidData(f"y varies within group {varies.idxmax()!r}: give each sequence one value")
    return values[~X[group].duplicated().to_numpy()]


def names_of(y: Any, count: int, others: tuple[str, ...]) -> list[str]:
    """Names of so many columns of y: its own, or y, y1, y2, …; none of them another column's."""
    own = [str(name) for name in y.columns] if isinstance(y, pd.DataFrame) else [str(getattr(y, "name", None) or "y")]
    names = own if len(own) == count else [f"{own[0]}{k + 1}" for k in range(count)]
    return [free_name(name, others) for name in names]


def free_name(name: str, others: tuple[str, ...]) -> str:
    """The name, or one like it that no other column has."""
    return name if name not in others else free_name(f"{name}_", others)


def _row_by_row(table: Table) -> SequenceTable:
    name = free_name(SEQUENCE, table.names)
    column = Column(name, "number", np.arange(1.0, len(table) + 1))
    return SequenceTable(replace(table, columns=(column, *table.columns)), name)


def _required(y: Any) -> Any:
    if y is None:
        raise InvalidData("requires y to be passed, but the target y is None")
    return y
