"""A catalog: snake_case names of classes, each imported at its first use. Where the catalog has a base class, users may
name classes of their own as `my_package.my_module:MyThing`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from evornn import settings
from evornn.errors import EvornnError, UnknownName, short_repr

T = TypeVar("T")


class Catalog(Mapping[str, type[T]], Generic[T]):
    """`Catalog("cell", {"lstm": "evornn.networks…lstm:LSTM"})["lstm"]` is the class LSTM.

    With `base`, subclasses of it may also be named by their import path.
    """

    def __init__(self, what: str, import_paths: dict[str, str], base: type[T] | None = None) -> None:
        self.what, self.import_paths, self.base = what, import_paths, base

    def __getitem__(self, name: str) -> type[T]:
        if self.base is not None and is_import_path(name):
            return _import_class(self.what, name, self.base)
        if not isinstance(name, str) or name not in self.import_paths:
            raise UnknownName(self.what, name, self.import_paths)
        module, _, attribute = self.import_paths[name].partition(":")
        cls: type[T] = getattr(import_module(module), attribute)
        return cls

    def __iter__(self) -> Iterator[str]:
        return iter(self.import_paths)

    def __len__(self) -> int:
        return len(self.import_paths)

    def __contains__(self, name: object) -> bool:
        return name in self.import_paths

    def name_of(self, thing: T) -> str:
        """The catalog name of an object's class, or its import path."""
        path = f"{type(thing).__module__}:{type(thing).__qualname__}"
        return next((name for name, where in self.import_paths.items() if where == path), path)

    def build(self, spec: Mapping[str, Any], where: str | None = None) -> T:
        """`{"kind": "lstm", **settings}` → the object. Errors name the field under `where`.

        Raises:
            EvornnError: `spec` is no mapping with a kind, or is nested too deeply.
            UnknownName: the kind or a setting does not exist.
            BadSetting: a setting has a wrong value.
        """
        where = where or self.what
        settings.check_depth(spec, where)
        if not isinstance(spec, Mapping) or "kind" not in spec:
            raise EvornnError(
                f"{where}: expects a mapping with a kind, such as {{kind: {next(iter(self))}}}, got {short_repr(spec)}"
            )
        values = {key: value for key, value in spec.items() if key != "kind"}
        try:
            cls = self[spec["kind"]]
        except UnknownName as unknown:
            what = self.what if where == self.what else f"{self.what} in {where}"
            raise UnknownName(what, unknown.name, unknown.known) from None
        return settings.build(cls, values, where)

    def spec_of(self, thing: T) -> dict[str, Any]:
        """The opposite of `build`: plain data that builds an equal object."""
        return {"kind": self.name_of(thing), **settings.as_dict(thing)}


def is_import_path(name: object) -> bool:
    """Whether a kind names code outside the catalog, which may do anything once it is imported."""
    return isinstance(name, str) and ":" in name


def import_object(what: str, path: str) -> Any:
    """The object at `module:name`. Raises EvornnError if it can't be imported."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # a module may raise anything
        problem = f"{type(error).__name__}: {error}"
        raise EvornnError(
            f"{what} {path}: cannot be imported, {problem}: install its package, or put its folder into PYTHONPATH"
        ) from error


def _import_class(what: str, path: str, base: type[T]) -> type[T]:
    """The class at `module:Class`. Raises EvornnError unless it is a subclass of `base` with settings."""
    cls = import_object(what, path)
    if not (isinstance(cls, type) and issubclass(cls, base) and dataclasses.is_dataclass(cls)):
        raise EvornnError(f"{what} {path}: must be a subclass of {base.__name__}, decorated with @settings")
    return cast("type[T]", cls)
