"""Settings that name columns: one name or several, each once."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one column")
    return _check_distinct(names)


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("name each column once")
    return names


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_names)]
SomeNames: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_distinct)]
