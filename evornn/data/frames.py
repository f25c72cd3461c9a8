"""pandas frames as tables: what a frame knows of its columns is kept, words are read as those of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.numbers import LARGEST_WHOLE
from evornn.data.options import ReadOptions
from evornn.data.table import Column, Table
from evornn.data.table_reader import TableReader
from evornn.errors import EvornnError

_NUMBERS = frozenset({"integer", "floating", "decimal", "mixed-integer-float"})  # kinds of objects


def read_frame(frame: Any, options: ReadOptions, source: str = "the frame") -> Contents:
    """A pandas frame. Its index becomes a column unless it only counts rows.

    Raises EvornnError for a column that holds neither numbers, words, booleans nor times.
    """
    frame = _with_index(frame)
    names = [_name(name) for name in frame.columns]
    if not names or not len(frame):
        raise EvornnError(f"{source}: has no {'rows' if names else 'columns'}: give one row per step")
    doubts = list[Doubt]()
    columns = [column_of(name, frame.iloc[:, k], options, doubts, source) for k, name in enumerate(names)]
    table = Table(tuple(columns), source, np.arange(1, len(frame) + 1))
    return Contents(table, tuple(doubts), {"format": "pandas frame"})


def column_of(name: str, series: Any, options: ReadOptions, doubts: list[Doubt], source: str) -> Column:
    """A column of a pandas series.

    Args:
        name: The column.
        series: [N] of any type.
        options: May say the kind.
        doubts: To which what isn't certain is added.
        source: For messages.
    """
    kind, dtype = options.kinds.get(name), series.dtype
    if pd.api.types.is_bool_dtype(dtype) and kind in (None, "boolean"):
        return Column(name, "boolean", series.to_numpy(np.float64, na_value=np.nan))
    if pd.api.types.is_complex_dtype(dtype):
        raise EvornnError(f"{source}: column {name!r} holds complex numbers: give real and imaginary part as columns")
    if pd.api.types.is_numeric_dtype(dtype) and kind in (None, "number"):
        return _number_column(name, series, options, doubts)
    if isinstance(dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(dtype):
        if kind in (None, "time"):
            return _time_column(name, series)
    elif pd.api.types.is_timedelta64_dtype(dtype):
        doubts.append(Doubt(f"column {name!r}: durations are read as seconds"))
        return Column(name, "number", series.dt.total_seconds().to_numpy(np.float64))
    elif isinstance(dtype, pd.CategoricalDtype) and kind in (None, "category"):
        words = [str(word) for word in series.cat.categories]
        return Column(name, "category", series.cat.codes.to_numpy(np.int64), tuple(words))
    is_exact = pd.api.types.infer_dtype(series, skipna=True) in _NUMBERS
    reader = TableReader((name,), options, exact=frozenset({name} if is_exact else ()))
    cells = [_cell(value, name, source) for value in series]
    reader.add([cells], np.arange(1, len(cells) + 1), source)
    column = reader.columns()[0]
    doubts += reader.doubts
    return column


def _number_column(name: str, series: Any, options: ReadOptions, doubts: list[Doubt]) -> Column:
    values = series.to_numpy(np.float64, na_value=np.nan).copy()
    if pd.api.types.is_integer_dtype(series.dtype) and (np.abs(values) > LARGEST_WHOLE).any():
        question = f"column {name!r}: whole numbers beyond 2⁵³ are rounded"
        doubts.append(Doubt(question, (("kinds", f"{name}=category"),)))
    sentinels = [float(word) for word in options.missing if _is_float(word)]
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax()) + 1
        doubts.append(Doubt(f"column {name!r}, row {row}: is infinite: replace the value", blocking=True))
    return Column(name, "number", np.where(np.isin(values, sentinels) | np.isinf(values), np.nan, values))


def _time_column(name: str, series: Any) -> Column:
    if series.dt.tz is None:
        return Column(name, "time", series.to_numpy("datetime64[us]"))
    local = series.dt.tz_localize(None).to_numpy("datetime64[us]")
    instants = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    offsets = np.where(np.isnat(local), np.timedelta64(0, "us"), local - instants).astype("timedelta64[m]")
    return Column(name, "time", local, offsets=offsets)


def _cell(value: Any, name: str, source: str) -> str:
    """A value as a file would have it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, dict, set, np.ndarray)):
        raise EvornnError(f"{source}: column {name!r} holds a {type(value).__name__} in a cell: give one row per step")
    return "" if pd.isna(value) else str(value)


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _name(name: Any) -> str:
    return " ".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name)


def _with_index(frame: Any) -> Any:
    """Each level of an index that says something, as a column."""
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return frame
    if frame.index.name is None and frame.index.nlevels == 1 and pd.api.types.is_integer_dtype(frame.index.dtype):
        return frame.reset_index(drop=True)  # rows of a longer frame
    return frame.reset_index(allow_duplicates=True)
