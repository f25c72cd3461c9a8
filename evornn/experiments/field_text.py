"""The fields of a settings class in words: their types with bounds, and the comments at the end of their lines."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import is_dataclass
from inspect import getsource
from textwrap import dedent
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
WORDS = {int: "integer", float: "number", bool: "true or false", str: "text", NoneType: "none"}


def type_texts(kind: type[Any]) -> dict[str, str]:
    """Name of a field → its type in words, such as "integer ≥ 2 or none"."""
    return {name: type_text(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}


def type_text(hint: Any) -> str:
    """A type annotation in words.

    >>> type_text(Annotated[int, Ge(2)] | None)
    'integer ≥ 2 or none'
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return ", ".join([type_text(args[0]), *_bounds(args[1:])]).replace(", ≥", " ≥").replace(", >", " >")
    if origin is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_text(arg) for arg in args))
    if origin in (tuple, list):
        words = " or ".join(dict.fromkeys(type_text(arg) for arg in args if arg is not Ellipsis))
        return "list of " + re.sub(r"\b(integer|number|text|trainer)\b", r"\1s", words)
    if origin is dict or is_dataclass(hint):
        return "mapping"
    return WORDS.get(hint) or getattr(hint, "__name__", str(hint)).lower()


def _bounds(constraints: tuple[Any, ...]) -> Iterator[str]:
    for constraint in constraints:
        if type(constraint) in BOUNDS:
            sign, attribute = BOUNDS[type(constraint)]
            yield f"{sign} {getattr(constraint, attribute):g}"


def comments(kind: type[Any]) -> dict[str, str]:
    """Name of a field, own or inherited → the comment at the end of its line."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("evornn."):
            texts |= _comments_of(dedent(getsource(base)))
    return texts


def _comments_of(source: str) -> dict[str, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    at_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: at_line[field.end_lineno or 0]
        for field in definition.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.end_lineno in at_line
    }
