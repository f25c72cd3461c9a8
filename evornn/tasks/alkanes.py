"""Boiling points of alkanes from their structure (Bianucci, Micheli, Sperduti & Starita 2000): a molecule is a tree of
carbon atoms."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.arrays import Series, Streams
from evornn.data.scaling import Doubles
from evornn.errors import require
from evornn.settings import settings
from evornn.tasks.core import smiles
from evornn.tasks.core.baselines import mse
from evornn.tasks.core.chance import masked_targets
from evornn.tasks.core.generated import make_data, pad_sequences
from evornn.tasks.core.task import Baseline, Data, Score, Sequences, Task
from evornn.tasks.core.trees import Tree, tree_example

FRACTIONS = (0.7, 0.15)  # of training and validation
ESTIMATES = {"JOBACK"}  # made by a formula from the structure itself, not measured
SOURCE = (
    "Boiling points of acyclic alkanes from the package chemicals (MIT licence): CRC handbook, NIST WebBook, Common "
    "Chemistry, Yaws and others; what is only estimated from the structure (Joback) is left out."
)


@settings
class Alkanes(Task):
    """Predict the boiling point at normal pressure, standardised by the training molecules. Needs the extra `data`.

    `tasks/core/trees.py` says how a tree becomes a sequence; the root is an end of a longest chain.
    """

    data_seed: Annotated[int, Ge(0)] = 0  # of the split

    causal: ClassVar[bool] = False

    def data(self) -> Data:
        """I = 3 + 5: positions of three children; C, CH, CH₂, CH₃, CH₄. O = 1."""
        molecules = _boiling_points()
        order = Streams(self.data_seed, "alkanes").at(0).permutation(len(molecules))
        train, valid = (round(share * len(molecules)) for share in (FRACTIONS[0], sum(FRACTIONS)))
        kelvin = np.array([boils for _, boils in molecules])
        mean, std = kelvin[order[:train]].mean(), kelvin[order[:train]].std()
        parts = [
            pad_sequences(
                [tree_example(molecules[k][0], smiles.ARITY, smiles.LABELS, (kelvin[k] - mean) / std) for k in rows]
            )
            for rows in np.split(order, [train, valid])
        ]
        note = f"{SOURCE} {len(molecules)} molecules, split with data_seed {self.data_seed}."
        score = Score("mean absolute error, K", _AbsoluteErrorKelvin(float(std)))
        data = make_data(*parts, loss="mse", labels=("boiling point, standardised",), note=note, score=score)
        return replace(data, baselines=(*data.baselines, _size_baseline(data)))


class _AbsoluteErrorKelvin:
    """The mean absolute error in kelvin."""

    def __init__(self, kelvin: float) -> None:
        self.kelvin = kelvin  # of one unit of the output

    def __call__(self, outputs: Series, split: Sequences) -> float:
        return float(self.kelvin * np.abs(outputs - split.targets)[split.mask].mean())


@lru_cache(maxsize=1)
def _boiling_points() -> list[tuple[Tree, float]]:
    """Molecules, no two with the same tree, and their boiling points in K, in the order of their trees."""
    with require("data", "the task alkanes"):
        from chemicals.identifiers import pubchem_db
        from chemicals.phase_change import Tb, Tb_methods
    pubchem_db.autoload_main_db()
    boiling_points: dict[Tree, float] = {}
    for substance in pubchem_db.CAS_index.values():
        if set(substance.smiles or "-") <= set("C()"):
            methods = [method for method in Tb_methods(substance.CASs) if method not in ESTIMATES]
            if methods:
                boiling_points.setdefault(smiles.tree(substance.smiles), float(Tb(substance.CASs, method=methods[0])))
    return sorted(boiling_points.items())


def _size_baseline(data: Data) -> Baseline:
    """Least squares on the number of carbon atoms and its logarithm."""
    assert isinstance(data.train, Sequences)
    features = {name: _size_features(getattr(data, name)) for name in ("train", "valid", "test")}
    weights = np.linalg.lstsq(features["train"], masked_targets(data.train), rcond=None)[0]
    valid, test = (mse(features[name] @ weights, masked_targets(getattr(data, name))) for name in ("valid", "test"))
    return Baseline("carbon atoms", valid, test)


def _size_features(split: Sequences) -> Doubles:
    atoms = split.inputs[..., smiles.ARITY :].sum(axis=(1, 2)).astype(np.float64)
    return np.stack([np.ones_like(atoms), atoms, np.log(atoms)], axis=1)
