"""Settings written as ranges: `{from: 1e-4, to: 1e-1, scale: log}` or `{choose: [a, b]}`, anywhere in a fragment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from evornn.errors import UnknownName, short_repr
from evornn.settings import BadSetting

KeyPath: TypeAlias = tuple[str | int, ...]  # ("refine", "learning_rate"), ("betas", 1)
SCALES = ("linear", "log")
NUMBERS, CHOICES = ("from", "to", "scale", "default"), ("choose", "default")
NAMES = ("kind", "label")  # settings that identify a fragment
ONE_VALUE = "is a range: `evornn tune` searches it; everything else needs one value"


@dataclass(frozen=True)
class Numbers:
    """All numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False  # search on a logarithmic scale
    is_integer: bool = False  # the setting takes integers only

    @property
    def ends(self) -> tuple[float, ...]:
        """The values to check before anything is computed."""
        return self.low, self.high


@dataclass(frozen=True)
class Choices:
    """One of several values of any type."""

    options: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values to check before anything is computed."""
        return self.options


Range: TypeAlias = Numbers | Choices


def is_range(value: Any) -> bool:
    """Whether a value is a range, valid or not: a mapping with `from`, `to` or `choose`, but without the `kind` of a
    fragment."""
    return isinstance(value, Mapping) and "kind" not in value and bool({"from", "to", "choose"} & set(value))


def find_ranges(fragment: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """The ranges of a fragment with their paths, in the order in which they are written.

    >>> list(find_ranges({"kind": "adam", "betas": [0.9, {"from": 0.9, "to": 0.999}]}))
    [(('betas', 1), {'from': 0.9, 'to': 0.999})]
    """
    stack: list[tuple[KeyPath, Any]] = [(path, fragment)]
    while stack:  # no recursion: an untrusted spec may be nested deeply
        place, value = stack.pop()
        if is_range(value):
            yield place, value
        elif isinstance(value, (Mapping, list)):
            parts: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
            stack += reversed([((*place, key), part) for key, part in parts])


def refuse_ranges(data: Mapping[str, Any]) -> None:
    """Raise BadSetting for the first range of a spec."""
    for part in ("tasks", "networks", "trainers", "regularisation"):
        for path, _ in find_ranges(data.get(part), (part,)):
            raise BadSetting(dotted_path(path), ONE_VALUE)


def parse_range(value: Mapping[str, Any], where: str) -> Range:
    """Parse a range as it is written at `where`; `is_integer` is still undecided. Raises UnknownName, BadSetting."""
    known = CHOICES if "choose" in value else NUMBERS
    for key in value:
        if key not in known:
            raise UnknownName(f"part of the range {where}", key, known)
    return _choices(value["choose"], where) if "choose" in value else _numbers(value, where)


def fill_defaults(fragment: Any, where: str) -> Any:
    """The fragment with each range replaced by its `default`, or left out if it has none. Raises BadSetting for an
    entry of a list, which can't be left out."""
    if isinstance(fragment, Mapping):
        settings = {key: value for key, value in fragment.items() if not is_range(value) or "default" in value}
        return {key: _default_value(value, f"{where}.{key}") for key, value in settings.items()}
    if isinstance(fragment, list):
        return [_default_value(value, f"{where}.{k}") for k, value in enumerate(fragment)]
    return fragment


def set_value(fragment: Any, path: KeyPath, value: Any) -> Any:
    """A copy of a fragment with another value.

    Args:
        fragment: Mappings and lists.
        path: Keys and positions that lead to the value.
        value: The new value.

    >>> set_value({"betas": [0.9, 0.99]}, ("betas", 1), 0.999)
    {'betas': [0.9, 0.999]}
    """
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(fragment, Mapping):
        return {**fragment, key: set_value(fragment.get(str(key)), rest, value)}
    return [set_value(item, rest, value) if k == key else item for k, item in enumerate(fragment)]


def get_value(fragment: Any, path: KeyPath) -> Any:
    """The value at a path."""
    for key in path:
        fragment = fragment[key]
    return fragment


def dotted_path(path: KeyPath) -> str:
    """trainers.0.learning_rate"""
    return ".".join(map(str, path))


def _default_value(value: Any, where: str) -> Any:
    if not is_range(value):
        return fill_defaults(value, where)
    if "default" not in value:
        raise BadSetting(where, "is an entry of a list and has no default: add one to the range, default: VALUE")
    return value["default"]


def _choices(options: Any, where: str) -> Choices:
    if not isinstance(options, list) or len(options) < 2:
        raise BadSetting(f"{where}.choose", f"must be a list of two values or more, got {short_repr(options)}")
    if any(option in options[:k] for k, option in enumerate(options)):
        raise BadSetting(f"{where}.choose", "has a value twice: remove one")
    return Choices(tuple(options))


def _numbers(value: Mapping[str, Any], where: str) -> Numbers:
    low, high = (_number(value, key, where) for key in ("from", "to"))
    scale = value.get("scale", "linear")
    if scale not in SCALES:
        raise UnknownName(f"scale of the range {where}", scale, SCALES)
    if low >= high:
        raise BadSetting(where, f"from must be below to, got {low:g} and {high:g}")
    if scale == "log" and low <= 0:
        raise BadSetting(
            f"{where}.from", f"must be above 0 on a log scale, got {low:g}: raise it, or use scale: linear"
        )
    return Numbers(low, high, scale == "log")


def _number(value: Mapping[str, Any], key: str, where: str) -> float:
    if key not in value:
        raise BadSetting(f"{where}.{key}", "is missing: a range has from and to, or choose: [a, b]")
    number = value[key]
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise BadSetting(
            f"{where}.{key}", f"must be a number, got {short_repr(number)}; choose: [a, b] takes other values"
        )
    return number
