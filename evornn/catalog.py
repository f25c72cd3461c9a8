"""A catalog: snake_case names of things, each imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from evornn import settings
from evornn.errors import EvornnError, UnknownName

T = TypeVar("T")


class Catalog(Mapping[str, type[T]], Generic[T]):
    """`Catalog("cell", {"lstm": "evornn.networks.lstm:LSTM"})["lstm"]` is the class LSTM."""

    def __init__(self, what: str, places: dict[str, str]) -> None:
        self.what, self.places = what, places

    def __getitem__(self, name: str) -> type[T]:
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
        if not isinstance(spec, Mapping) or "kind" not in spec:
            raise EvornnError(
                f"{where}: wants a mapping with a kind, for example {{kind: {next(iter(self))}}}, got {spec!r}"
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
