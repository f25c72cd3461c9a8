"""The whole catalog as data: the command line, the docs and, later, forms are made from it."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any

from evornn.catalog import Catalog
from evornn.errors import UnknownName
from evornn.experiments.spec import NetworkSize
from evornn.networks import NETWORKS
from evornn.settings import plain
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

CATALOGS: dict[str, Catalog[Any]] = {"tasks": TASKS, "networks": NETWORKS, "trainers": TRAINERS}


@dataclass(frozen=True)
class Entry:
    """One task, network or trainer."""

    group: str  # tasks, networks, trainers
    name: str
    summary: str  # the file's first line: equation and paper
    settings: dict[str, Any]  # name → default; "required" where there is none


def entries(name: str | None = None) -> list[Entry]:
    """All entries, or those of a name; raises UnknownName."""
    names = {entry for catalog in CATALOGS.values() for entry in catalog}
    if name is not None and name not in names:
        raise UnknownName("task, network or trainer", name, names)
    return [
        _entry(group, catalog, entry)
        for group, catalog in CATALOGS.items()
        for entry in catalog
        if name in (None, entry)
    ]


def _entry(group: str, catalog: Catalog[Any], name: str) -> Entry:
    kind = catalog[name]
    module = inspect.getmodule(kind)
    text = (module.__doc__ or kind.__doc__ or "").strip().split("\n\n")[0]
    sizes = {size: default for size, default in _defaults(NetworkSize).items() if size in getattr(kind, "takes", ())}
    return Entry(group, name, " ".join(text.split()), sizes | _defaults(kind))


def _defaults(kind: type[Any]) -> dict[str, Any]:
    return {field.name: _default(field) for field in dataclasses.fields(kind) if field.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        default = field.default
        return (
            _default(default) if isinstance(default, dataclasses.Field) else plain(getattr(default, "default", default))
        )
    return plain(field.default_factory()) if field.default_factory is not dataclasses.MISSING else "required"
