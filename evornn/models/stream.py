"""A model one row at a time: values in their own units in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evornn.data.scaling import Doubles
from evornn.errors import EvornnError
from evornn.models.numpy_step import NumpyStep
from evornn.models.predict import forecast_windows
from evornn.models.step import check_exportable
from evornn.models.units import columns

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel


class Stream:
    """A model that carries its network's state from row to row.

    Its answer at a row is that of the whole sequence up to there. A forecast was trained on windows: at the row that
    ends the first window it is what `predict` says; later the network has read more rows than that, which is faster
    than to read each window again, and not the same (see `WindowStream`).

    Args:
        model: With a preparation, and a network that has an equation.
    """

    def __init__(self, model: SavedModel) -> None:
        self.model, self.columns = model, columns(model.own_preparation)
        self._program = NumpyStep(check_exportable(model.network.layout), model.genome, model.preparation)

    def reset(self) -> None:
        """Begin a new sequence."""
        self._program.reset()

    def step(self, values: Sequence[float] | NDArray[np.float64]) -> Doubles:
        """The next row.

        Args:
            values: [C] of `columns`, in their own units; of a category, its position among the feature's.

        Returns:
            [O] answers in their own units, all steps ahead of the first answer first; probabilities of classes.
        """
        return self._program.step(values)


class WindowStream:
    """A forecast that reads exactly the last `window` rows at each one, as `predict` does: NaN until they are there."""

    def __init__(self, model: SavedModel) -> None:
        self.model, self.columns = model, columns(model.own_preparation)
        if model.own_preparation.question != "forecast":
            raise EvornnError("only a forecast reads windows: use `stream`")
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._rows = np.zeros((0, len(self.columns)))

    def step(self, values: Sequence[float] | NDArray[np.float64]) -> Doubles:
        """The next row [C] → the forecast [O]."""
        window = self.model.own_preparation.window or 1
        self._rows = np.concatenate([self._rows, np.asarray(values, np.float64)[None]])[-window:]
        if len(self._rows) < window:
            return np.full(self.model.outputs, np.nan)
        forecast: Doubles = forecast_windows(self.model, self._rows)[0]
        return forecast
