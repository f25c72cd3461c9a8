"""Conversion of a trainer's state to arrays (for safetensors) and plain values (for JSON), and back, without running
code from the file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY, FLOAT, TUPLE = "$array", "$float", "$tuple"  # keys that mark values which JSON can't express


def split(value: Any, path: str = "state") -> tuple[dict[str, NDArray[Any]], Any]:
    """Split a state into arrays by path and a plain value that refers to them; keys with a leading "_" are left out.

    Raises TypeError for values that are not plain data.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def plain(item: Any, at: str) -> Any:
        if isinstance(item, dict):
            if not all(isinstance(key, str) and key[:1] != "$" for key in item):
                raise TypeError(f"{at}: the keys of a trainer's state are strings that don't start with $")
            return {key: plain(part, f"{at}.{key}") for key, part in item.items() if not key.startswith("_")}
        if isinstance(item, (list, tuple)):
            parts = [plain(part, f"{at}.{k}") for k, part in enumerate(item)]
            return parts if isinstance(item, list) else {TUPLE: parts}
        if isinstance(item, np.ndarray):
            at = f"{at}#{len(arrays)}" if at in arrays else at  # {"a.b": …, "a": {"b": …}}
            arrays[at] = np.ascontiguousarray(item)
            return {ARRAY: at, "shape": list(item.shape)}
        if isinstance(item, np.generic):
            item = item.item()
        if isinstance(item, float) and not math.isfinite(item):
            return {FLOAT: repr(item)}
        if item is None or isinstance(item, (bool, int, float, str)):
            return item
        raise TypeError(f"{at} of a trainer's state is a {type(item).__name__}: only plain data can be saved")

    return arrays, plain(value, path)


def join(arrays: dict[str, NDArray[Any]], value: Any) -> Any:
    """The inverse of `split`."""
    if isinstance(value, list):
        return [join(arrays, part) for part in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return arrays[value[ARRAY]].reshape(value["shape"])
    if FLOAT in value:
        return float(value[FLOAT])
    if TUPLE in value:
        return tuple(join(arrays, part) for part in value[TUPLE])
    return {key: join(arrays, part) for key, part in value.items()}
