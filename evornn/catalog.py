"""A catalog: snake_case names of things, each imported only when it is asked for; and, where it takes them, things of
the user's own, `my_package.my_module:MyThing`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from evornn import settings
from evornn.errors import EvornnError, UnknownName, shown

T = TypeVar("T")


class Catalog(Mapping[str, type[T]], Generic[T]):
    """`Catalog("cell", {"lstm": "evornn.networks…lstm:LSTM"})["lstm"]` is the class LSTM. With `own`, subclasses of it
    may also be named by their place."""

    def __init__(self, what: str, places: dict[str, str], own: type[T] | None = None) -> None:
        self.what, self.places, self.own = what, places, own

    def __getitem__(self, name: str) -> type[T]:
        if self.own is not None and is_place(name):
            return _imported(self.what, name, self.own)
        if not isinstance(name, str) or name not in self.places:
            raise UnknownName(self.what, name, self.places)
        module, _, attribute = self.places[name].partition(":")
        found: type[T] = getattr(import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def name_of(self, thing: T) -> str:
        """The catalog name of a thing's class."""
        place = f"{type(thing).__module__}:{type(thing).__qualname__}"
        return next((name for name, where in self.places.items() if where == place), place)

    def build(self, spec: Mapping[str, Any], where: str | None = None) -> T:
        """`{"kind": "lstm", **settings}` → the thing; errors name the field under `where`."""
        where = where or self.what
        settings.check_depth(spec, where)
        if not isinstance(spec, Mapping) or "kind" not in spec:
            raise EvornnError(
                f"{where}: wants a mapping with a kind, for example {{kind: {next(iter(self))}}}, got {shown(spec)}"
            )
        values = {key: value for key, value in spec.items() if key != "kind"}
        try:
            made = self[spec["kind"]]
        except UnknownName as unknown:
            what = self.what if where == self.what else f"{self.what} in {where}"
            raise UnknownName(what, unknown.name, unknown.known) from None
        return settings.build(made, values, where)

    def spec_of(self, thing: T) -> dict[str, Any]:
        """The opposite of `build`: plain data that builds the same thing."""
        return {"kind": self.name_of(thing), **settings.as_data(thing)}


def is_place(name: object) -> bool:
    """Whether a kind names code outside of the catalog, which may do anything once it is imported."""
    return isinstance(name, str) and ":" in name


def imported(what: str, place: str) -> Any:
    """What is at `module:name`; raises EvornnError for what can't be imported."""
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # a module may raise anything
        problem = f"{type(error).__name__}: {error}"
        raise EvornnError(
            f"{what} {place}: cannot be imported, {problem}: install its package, or put its folder into PYTHONPATH"
        ) from error


def _imported(what: str, place: str, base: type[T]) -> type[T]:
    """The class at `module:Class`; raises EvornnError for one that is not a thing with settings."""
    found = imported(what, place)
    if not (isinstance(found, type) and issubclass(found, base) and dataclasses.is_dataclass(found)):
        raise EvornnError(f"{what} {place}: must be a subclass of {base.__name__}, decorated with @settings")
    return cast("type[T]", found)
