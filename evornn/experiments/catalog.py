"""The whole catalog as data: the source of `evornn catalog`, the reference pages and the dashboard's forms."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any

from evornn.catalog import Catalog, is_import_path
from evornn.cell import Cell
from evornn.errors import UnknownName
from evornn.experiments.description import ArchitectureSummary, describe
from evornn.experiments.spec import NetworkSize
from evornn.models.formats import FORMATS, SUFFIX
from evornn.networks import CELLS, NETWORKS
from evornn.networks.documentation import split_documentation
from evornn.settings import to_plain_data
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

CATALOGS: dict[str, Catalog[Any]] = {"tasks": TASKS, "networks": NETWORKS, "trainers": TRAINERS}


@dataclass(frozen=True)
class Entry:
    """One task, network or trainer."""

    group: str  # tasks, networks, trainers
    name: str
    summary: str  # how its file or class begins: paper and, of a network, equation
    settings: dict[str, Any]  # name → default, or "required"
    architecture: ArchitectureSummary | None = None  # of a cell
    formats: tuple[str, ...] = ()  # of a network: suffixes of the files that `evornn model` writes of it


def entries(name: str | None = None) -> list[Entry]:
    """All entries, those called `name`, or the one of a user's own cell, `package.module:Class`. Raises UnknownName."""
    if is_import_path(name):
        return [_entry("networks", NETWORKS, str(name))]
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
    if group == "networks":
        head, text = split_documentation(kind)
        size = defaults(NetworkSize) | {"layers": kind.default_layers}
        sizes = {name: default for name, default in size.items() if name in kind.size_fields}
        architecture = None if name in NETWORKS and name not in CELLS else describe(name)
        summary = " ".join((head or text).split())
        return Entry(group, name, summary, sizes | defaults(kind), architecture, formats(kind))
    text = inspect.getdoc(inspect.getmodule(kind)) or inspect.getdoc(kind) or ""
    return Entry(group, name, " ".join(text.split("\n\n")[0].split()), defaults(kind))


def formats(kind: type[Any]) -> tuple[str, ...]:
    """The suffixes of files that a trained network can be written to: all for an equation, .safetensors for any."""
    return (SUFFIX, *(FORMATS if issubclass(kind, Cell) else ()))


def defaults(kind: type[Any]) -> dict[str, Any]:
    """Name of a setting → its default, or "required"."""
    return {field.name: _default(field) for field in dataclasses.fields(kind) if field.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        default = field.default
        return (
            _default(default)
            if isinstance(default, dataclasses.Field)
            else to_plain_data(getattr(default, "default", default))
        )
    return to_plain_data(field.default_factory()) if field.default_factory is not dataclasses.MISSING else "required"
