"""Small settings of everything in the catalog, derived from the settings' names: what the contract tests run over.

So a new task, network or trainer is under contract as soon as it has its line in the catalog. What needs other settings
to be small, or to be built at all, has them in OVERRIDES.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from evornn import settings
from evornn.catalog import Catalog

SIZES = {"population": 8, "restarts": 2, "every": 2, "train": 40, "valid": 20, "test": 30, "rows": 300}

OVERRIDES: dict[str, dict[str, Any]] = {
    "csv": {"path": "two.csv", "targets": "flow", "window": 12},
    "forecast": {"path": "shops.csv", "targets": "sales", "group": "shop", "time": "day", "window": 12},
    "classify": {"path": "gestures.csv", "target": "gesture", "group": "id"},
    "regress": {"path": "gestures.csv", "targets": "size", "group": "id", "inputs": ["x", "y"]},
    "label": {"path": "gestures.csv", "targets": "gesture", "group": "id", "inputs": ["x", "y"]},
    "language": {"path": "text.txt", "length": 30},
    "tomita": {"test_length": 12, "long_strings": 40},
    "narma": {"washout": 10},
    "differential_evolution": {"population": 12},  # fewer soon are all alike
    "history_compressor": {"own_losses": 0.0, "tolerance": 0.8},  # then its loss is the targets' alone
    "neural_turing_machine": {"slots": 5, "width": 3},
    "pushdown_automaton": {"depth": 5},
    "openai_es": {"population": 16, "learning_rate": 0.2},  # the paper's populations are in the thousands
}
ADVICE = "add settings that are small, or do better, to OVERRIDES in tests/support/small_specs.py"


def small_spec(catalog: Catalog[Any], kind: str, **sizes: Any) -> dict[str, Any]:
    """`{kind: snes, population: 8}`: a spec with those of SIZES, or other `sizes`, that the kind and its parts have."""
    cls = catalog[kind]
    values = {**SIZES, **OVERRIDES.get(kind, {}), **sizes}
    spec = {name: values[name] for name in settings.names(cls) if name in values}
    parts = {name: _small_part(default, sizes) for name, default in _default_parts(cls).items() if name not in spec}
    return {"kind": kind, **spec, **parts}


def _default_parts(cls: type[Any]) -> dict[str, tuple[Catalog[Any], Any]]:
    """The things of a catalog that a class holds by default, by the names of its settings."""
    parts = getattr(cls, "parts", {})
    required = [f.name for f in fields(cls) if f.init and f.default is MISSING and f.default_factory is MISSING]
    return {name: (catalog, getattr(cls(), name)) for name, catalog in parts.items()} if not required else {}


def _small_part(default: tuple[Catalog[Any], Any], sizes: dict[str, Any]) -> Any:
    catalog, part = default
    if isinstance(part, tuple):
        return [_small_part((catalog, one), sizes) for one in part]
    return small_spec(catalog, catalog.name_of(part), **sizes)


def has_setting(spec: Any, name: str) -> bool:
    """Whether a spec names a setting, or a part of it does."""
    if isinstance(spec, list):
        return any(has_setting(part, name) for part in spec)
    return isinstance(spec, dict) and (name in spec or any(has_setting(part, name) for part in spec.values()))
