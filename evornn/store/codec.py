"""How values are stored: canonical JSON in which NaN and infinities are explicit, and safetensors. Never pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy import Dialect, Text, TypeDecorator

from evornn.errors import EvornnError
from evornn.store.errors import StoreError, Unstorable
from evornn.training.records import check_size

_quote = json.encoder.encode_basestring_ascii
FLOAT = "$float"  # {"$float": "nan"} stands for a number that JSON can't express


def dumps(value: Any) -> str:
    """Canonical JSON (sorted keys, no spaces, ASCII). Tuples become lists, numpy numbers plain ones.

    Raises TypeError for anything but plain data: other types, or keys that aren't strings.

    >>> dumps({"b": (1, float("nan")), "a": None})
    '{"a":null,"b":[1,{"$float":"nan"}]}'
    """
    return json.dumps(_encode(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Any:
    """The inverse of `dumps`."""
    return _decode(json.loads(text))


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, in hexadecimal."""
    return sha256(dumps(value).encode()).hexdigest()


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays → safetensors. Raises Unstorable for more than a checkpoint may hold."""
    try:
        check_size(sum(array.nbytes for array in arrays.values()))
    except EvornnError as error:
        raise Unstorable(str(error)) from None
    return bytes(save({name: np.asarray(array, order="C") for name, array in arrays.items()}))


def unpack(blob: bytes) -> dict[str, NDArray[Any]]:
    """Safetensors → named arrays. Raises StoreError for a damaged blob."""
    try:
        return dict(load(blob))
    except SafetensorError as error:
        raise StoreError(f"a stored array is damaged ({error}): restore a backup, or `evornn retry` the job") from None


def split_non_finite(values: Mapping[str, float | None]) -> tuple[dict[str, float | None], dict[str, str] | None]:
    """Numbers → (columns, `not_finite`). SQLite stores NaN as NULL, so non-finite values are NULL and named separately.

    >>> split_non_finite({"best": 0.5, "valid": float("inf")})
    ({'best': 0.5, 'valid': None}, {'valid': 'inf'})
    """
    numbers = {name: None if value is None else float(value) for name, value in values.items()}
    non_finite = {name: str(v) for name, v in numbers.items() if v is not None and not math.isfinite(v)}
    return {name: None if name in non_finite else value for name, value in numbers.items()}, non_finite or None


def merge_non_finite(values: Mapping[str, Any], non_finite: Mapping[str, str] | None) -> dict[str, Any]:
    """The inverse of `split_non_finite`."""
    return {**values, **{name: float(text) for name, text in (non_finite or {}).items() if name in values}}


class JsonText(str):
    """Plain data that is canonical JSON already, of `dumps` or `SharedEncoder`."""


class SharedEncoder:
    """`dumps` for many values that share parts, such as the runs of a spec: each shared mapping is encoded once."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._known: dict[int, tuple[Any, JsonText]] = {}  # by identity, with the value itself, which keeps it

    def dumps(self, value: Any) -> JsonText:
        """The same text as `dumps`."""
        if not isinstance(value, dict):
            return JsonText(_quote(value) if type(value) is str else value if type(value) is int else dumps(value))
        known = self._known.get(id(value))
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            items = sorted((_escape_key(key), item) for key, item in value.items())
            known = (
                value,
                JsonText("{" + ",".join(f"{_quote(key)}:{self.dumps(item)}" for key, item in items) + "}"),
            )
            self._known[id(value)] = known
        return known[1]


class Json(TypeDecorator[Any]):
    """Plain data in a text column; None is NULL. The same on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        return value if value is None or isinstance(value, JsonText) else dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the database."""
        return None if value is None else loads(value)


class AnyText(TypeDecorator[str]):
    """Text written by programs (errors, log lines): PostgreSQL takes no NUL, and UTF-8 no lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else value.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()


def _encode(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: str(value)}
    if isinstance(value, Mapping):
        return {_escape_key(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


def _escape_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"keys of stored data must be strings, got {key!r}")
    return "$" + key if key.startswith("$") else key  # so that a user's "$float" isn't read as a number


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {FLOAT}:
        return float(value[FLOAT])
    return {key.removeprefix("$"): _decode(item) for key, item in value.items()}
