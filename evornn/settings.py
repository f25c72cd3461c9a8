"""Settings are the fields of the class that they set: `@settings class CMAES: population: int = 64`, checked when
built.

The spec fragment `{kind: cma_es, population: 64}` is the constructor call; there are no parallel config classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from evornn.errors import EvornnError, UnknownName, short_repr

T = TypeVar("T")
MAX_DEPTH = 32  # levels of a spec; a trainer inside a trainer takes two
# Defaults are validated too: the value of one setting may rule out the default of another.
_CONFIG = ConfigDict(
    extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, strict=False, validate_default=True
)


class BadSetting(EvornnError):
    """A setting with a wrong value. `field` is its dotted path in the spec."""

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field}: {problem}")

    def __reduce__(self) -> tuple[type[BadSetting], tuple[str, str]]:
        return type(self), (self.field, self.problem)  # so that it travels between processes


def check_depth(data: Any, where: str) -> None:
    """Raises EvornnError for plain data of more than `MAX_DEPTH` levels, on which recursive code would fail."""
    waiting = [(data, 1)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, (Mapping, list, tuple)):
            if level > MAX_DEPTH:
                raise EvornnError(f"{where}: nested too deeply: a spec has a few levels, {MAX_DEPTH} at most")
            waiting += [(part, level + 1) for part in (value.values() if isinstance(value, Mapping) else value)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are validated by their annotations, such as `Annotated[int, Ge(1)]`. Its
    constructor raises BadSetting for a wrong value, UnknownName for an unknown setting."""
    made: Any = pydantic_dataclass(cls, frozen=True, kw_only=True, config=_CONFIG)
    validate = made.__init__

    @wraps(validate)
    def __init__(self: Any, *args: Any, **values: Any) -> None:
        where = type(self).__name__
        _check_names(type(self), values, where)
        with _our_errors(where):
            validate(self, *args, **values)

    made.__init__ = __init__
    return cast("type[T]", made)


def _check_names(cls: type[Any], values: Iterable[str], where: str) -> None:
    for name in values:
        if name not in names(cls):
            raise UnknownName(f"setting of {where}", name, names(cls))


@contextmanager
def _our_errors(where: str) -> Iterator[None]:
    """Raises the first of pydantic's errors as one line."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join([where, *(str(part) for part in first["loc"] if _is_place(part))])
        limits = {name: f"{v:.15g}" if isinstance(v, float) else v for name, v in first.get("ctx", {}).items()}
        message = first["msg"].removeprefix("Value error, ")
        problem = _PROBLEMS.get(first["type"], "{message}").format(message=message, **limits)
        got = "" if first["type"] == "missing" else f", got {short_repr(first['input'])}"
        raise BadSetting(path, f"{problem}{got}") from None


def _is_place(part: int | str) -> bool:
    """Whether a part of pydantic's path is a setting or a position, and no alternative of a type, such as int."""
    return isinstance(part, int) or (part.isidentifier() and part not in ("int", "float", "str", "bool", "none"))


_PROBLEMS = {  # pydantic's kind of error → what is wrong, in our words
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    "finite_number": "must be a finite number",
    "string_type": "must be a text",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "missing": "is missing",
}


def names(cls: type[Any]) -> list[str]:
    """The names of a class's settings."""
    return [f.name for f in dataclasses.fields(cls) if f.init]


def build(cls: type[T], values: dict[str, Any], where: str) -> T:
    """`cls(**values)`, with errors that name the field.

    Args:
        cls: a class with settings.
        values: setting → value; a part may be a spec fragment with a kind.
        where: the path of the object in the spec, such as `trainers.0`.

    Raises:
        UnknownName: a setting does not exist.
        BadSetting: a value is wrong.
    """
    _check_names(cls, values, where)
    parts = _build_parts(cls, values, where)
    try:
        return cls(**parts)
    except BadSetting as error:  # the constructor doesn't know where in the spec it is
        own, _, rest = error.field.partition(".")
        raise BadSetting(f"{where}.{rest}" if rest and own == cls.__name__ else error.field, error.problem) from None


def _build_parts(cls: type[Any], values: dict[str, Any], where: str) -> dict[str, Any]:
    """Build the specs of parts here, so that errors name the whole path.

    A class whose fields hold objects of a catalog, one or a list, declares them as `parts = {field: catalog}`.
    """
    specs = {name: catalog for name, catalog in _parts(cls).items() if name in values}
    return {
        **values,
        **{name: _build_part(catalog, values[name], f"{where}.{name}") for name, catalog in specs.items()},
    }


def _build_part(catalog: Any, value: Any, where: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_build_part(catalog, item, f"{where}.{k}") for k, item in enumerate(value)]
    return catalog.build(value, where) if isinstance(value, Mapping) else value


def _parts(cls: type[Any]) -> Mapping[str, Any]:
    parts: Mapping[str, Any] = getattr(cls, "parts", {})
    return parts


def as_dict(thing: Any) -> dict[str, Any]:
    """The settings of an object as plain data, without its kind; its parts are specs with their kinds."""
    parts, values = _parts(type(thing)), {name: getattr(thing, name) for name in names(type(thing))}
    return {
        name: _spec_of(parts[name], value) if name in parts else to_plain_data(value) for name, value in values.items()
    }


def _spec_of(catalog: Any, value: Any) -> Any:
    return [catalog.spec_of(item) for item in value] if isinstance(value, tuple) else catalog.spec_of(value)


def to_plain_data(value: Any) -> Any:
    """A value of a setting as plain data: settings become mappings, tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    if isinstance(value, (list, tuple)):
        return [to_plain_data(item) for item in value]
    return value
