"""Small models of each question, with networks that nobody has trained, and tables for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.symbols import UNKNOWN
from evornn.data.table import Column, Table
from evornn.models.make import architecture_of
from evornn.models.standalone import StandaloneModel
from evornn.networks.network import Network

LETTERS = (UNKNOWN, "\n", " ", "a", "b", "c")
FEATURES = (
    Feature("load", "sqrt", 7.0, 2.5),
    Feature("temp", mean=-1e4, std=0.5),
    Feature("day", categories=("fr", "mo")),
)
PREPARATIONS: dict[str, Preparation] = {
    "forecast": Preparation(
        "forecast",
        FEATURES,
        (
            OutputColumn("load", "sqrt", 7.0, 2.5, horizon=3, difference=True),
            OutputColumn("wind", "log1p", 1.0, 0.2, horizon=3),
        ),
        window=5,
    ),
    "recursive": Preparation(
        "forecast",
        (Feature("load", mean=50.0, std=20.0),),
        (OutputColumn("load", mean=50.0, std=20.0, horizon=2, difference=True),),
        window=4,
    ),
    "changes": Preparation(
        "forecast",
        (
            Feature("load", mean=0.5, std=20.0, derived="change"),
            Feature("temp", mean=-1e4, std=0.5),
            Feature("temp", mean=0.0, std=0.7, derived="change"),
        ),
        (
            OutputColumn("load", mean=50.0, std=20.0, horizon=2, difference=True),
            OutputColumn("temp", mean=-1e4, std=0.5, horizon=2, difference=True),
        ),
        window=4,
    ),
    "roots": Preparation(
        "forecast",
        (Feature("load", "sqrt", 7.0, 2.5), Feature("load", "sqrt", 0.0, 2.5, derived="change")),
        (OutputColumn("load", "sqrt", 7.0, 2.5, horizon=2, difference=True),),
        window=4,
        missing="forward_fill",
    ),
    "classify": Preparation("classify", FEATURES, (OutputColumn("kind", categories=("a", "b", "c")),), group="who"),
    "regress": Preparation("regress", FEATURES, (OutputColumn("quality", "log1p", 1.0, 0.3),), group="who"),
    "ahead": Preparation(
        "forecast",
        (
            Feature("load", mean=50.0, std=20.0, scales=(("g0", 40.0, 10.0), ("g1", 60.0, 30.0))),
            Feature("load", derived="missing"),
            Feature("when", derived="hour"),
            Feature("wind", mean=3.0, std=2.0, ahead=1),
            Feature("wind", mean=3.0, std=2.0, ahead=2),
            Feature("day", categories=("fr", "mo"), ahead=2),
        ),
        (OutputColumn("load", mean=50.0, std=20.0, horizon=2, scales=(("g0", 40.0, 10.0), ("g1", 60.0, 30.0))),),
        group="who",
        time="when",
        window=3,
        missing="mask",
    ),
    "label": Preparation("label", FEATURES, (OutputColumn("wind", mean=3.0, std=2.0),), group="who", missing="mask"),
}


def small_model(question: str, kind: str = "gru", **changes: Any) -> StandaloneModel:
    """A model of PREPARATIONS; `changes` of its preparation."""
    preparation = replace(PREPARATIONS[question], **changes)
    inputs, outputs = (sum(p.width for p in side) for side in (preparation.features, preparation.answers))
    network = Network(kind, inputs=inputs, units=6, outputs=outputs)
    return StandaloneModel(architecture_of(network), inputs, outputs, network.sample(1, seed=3)[0], preparation)


def text_model(
    names: tuple[str, ...] = LETTERS, one: str = "character", kind: str = "gru", **changes: Any
) -> StandaloneModel:
    """A model that nobody has trained."""
    preparation = Preparation("language", (Feature(one, categories=names),), (OutputColumn(one, categories=names),))
    network = Network(kind, inputs=len(names), units=6, outputs=len(names))
    sizes = network.layout.inputs, network.layout.outputs
    genome = 3 * network.sample(1, seed=3)[0]
    return StandaloneModel(architecture_of(network), *sizes, genome, replace(preparation, **changes))


def small_table(rows: int = 60, groups: int = 1, seed: int = 0) -> Table:
    """Columns for all of PREPARATIONS, `groups` of different lengths one after the other."""
    rng = np.random.default_rng(seed)
    who = np.sort(rng.integers(0, groups, rows))
    return Table(
        (
            Column("load", "number", rng.uniform(1.0, 150.0, rows)),
            Column("temp", "number", rng.normal(-1e4, 0.5, rows)),
            Column("day", "category", rng.integers(0, 2, rows), ("fr", "mo")),
            Column("wind", "number", rng.uniform(0.0, 9.0, rows)),
            Column("when", "time", np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")),
            Column("who", "text", np.array([f"g{k}" for k in who], object)),
            Column("kind", "category", np.array([k % 3 for k in who]), ("a", "b", "c")),
            Column("quality", "number", np.array([1.0 + k for k in who])),
        ),
        "made up",
        np.arange(2, rows + 2),
    )


def part(table: Table, begin: int, end: int) -> Table:
    """Some rows."""
    columns = tuple(Column(c.name, c.kind, c.values[begin:end], c.categories) for c in table.columns)
    return Table(columns, table.source, table.lines[begin:end])
