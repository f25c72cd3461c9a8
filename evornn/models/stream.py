"""A model one row at a time: values in their own units in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles
from evornn.errors import EvornnError
from evornn.models.numpy_step import NumpyStep
from evornn.models.predict import forecast_windows
from evornn.models.step import check_exportable
from evornn.models.units import Source, columns, sources

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
        self.model, self.columns = model, given_columns(model.own_preparation)
        self._program = NumpyStep(check_exportable(model.network.layout), model.genome, model.preparation)
        self._last_known = LastKnown(model.own_preparation)

    def reset(self) -> None:
        """Begin a new sequence."""
        self._program.reset()
        self._last_known.reset()

    def step(self, values: Sequence[float] | NDArray[np.float64]) -> Doubles:
        """The next row.

        Args:
            values: one for each of `columns`, in its own unit; of a category, its position among the feature's.

        Returns:
            [O] answers in their own units, all steps ahead of the first answer first; probabilities of classes.
        """
        return self._program.step(self._last_known.fill(values))


class WindowStream:
    """A forecast that reads exactly the last `window` rows at each one, as `predict` does: NaN until they are there."""

    def __init__(self, model: SavedModel) -> None:
        self.model, self.columns = model, given_columns(model.own_preparation)
        if model.own_preparation.question != "forecast":
            raise EvornnError("only a forecast reads windows: use `stream`")
        self._last_known = LastKnown(model.own_preparation)
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._rows = np.zeros((0, len(columns(self.model.own_preparation))))
        self._last_known.reset()

    def step(self, values: Sequence[float] | NDArray[np.float64]) -> Doubles:
        """The next row of `columns` → the forecast [O]."""
        window = self.model.own_preparation.window or 1
        self._rows = np.concatenate([self._rows, self._last_known.fill(values)[None]])[-window:]
        if len(self._rows) < window:
            return np.full(self.model.outputs, np.nan)
        forecast: Doubles = forecast_windows(self.model, self._rows)[0]
        return forecast


def given_columns(preparation: Preparation) -> tuple[str, ...]:
    """What a row of a stream has: all that a model reads but values of the row before, which a stream knows."""
    return tuple(source.name for source in sources(preparation) if source.is_given)


class LastKnown:
    """Values of a stream that follow from the rows before: missing ones, filled in as in training, and those of the row
    before.

    Raises EvornnError where a row alone doesn't say how it is to be read.
    """

    def __init__(self, preparation: Preparation) -> None:
        if preparation.missing == "interpolate":
            raise EvornnError("missing values between two others are known only later: give a file instead of a stream")
        parts: list[Feature | OutputColumn] = [*preparation.features, *preparation.answers]
        if any(part.scales for part in parts):
            raise EvornnError(
                "each group has a scale of its own, and a stream doesn't say whose rows it has: give a file, or take "
                "`model.for_group(name)` in Python"
            )
        self._carries = preparation.missing == "forward_fill"
        known = sources(preparation)
        given = [source for source in known if source.is_given]
        order = [given.index(s) if s.is_given else len(given) + given.index(Source(s.column)) for s in known]
        self._order = None if len(given) == len(known) else order
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._last: Doubles | None = None

    def fill(self, values: Sequence[float] | NDArray[np.float64]) -> Doubles:
        """A row of `given_columns` → [C] of all columns, without gaps if there are values before them."""
        row = np.asarray(values, np.float64)
        before = np.full_like(row, np.nan) if self._last is None else self._last
        if self._carries:
            row = np.where(np.isnan(row), before, row)
        self._last = row
        return row if self._order is None else np.concatenate([row, before])[self._order]
