"""The next rows of one or many series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from evornn.data.preparation import Preparation
from evornn.data.reading import read
from evornn.data.scaling import Transform
from evornn.data.table import SEQUENCE, Table
from evornn.estimators.base import Estimator, Fragment, InvalidData, value_errors
from evornn.estimators.sequence_tables import as_sequences, check_sequences
from evornn.tasks.forecast import Forecast


class Forecaster(Estimator):
    """Predicts what comes next in one or many series.

    X is one series, an array [T], [T, C] or a pandas series or frame; or several: an array [B, T, C], a list of arrays
    [T, C], or a frame whose column `group` says to which series a row belongs. `predict(X)` answers with the `horizon`
    rows that follow the end of each series in X; X has at least `window` rows of each. There is no y: what is to be
    forecast are columns of X.

    >>> series = np.sin(np.arange(300) / 3)
    >>> forecaster = Forecaster(window=12, horizon=3, units=4, budget=30_000, random_state=0).fit(series)
    >>> forecaster.predict(series).shape, forecaster.predict_interval(series, coverage=0.8).shape
    ((3,), (3, 2))

    Args:
        network: The kind of a network, or a fragment of a spec, such as `{"kind": "lstm", "layers": 2}`.
        horizon: Rows that a forecast predicts.
        window: Rows that a forecast reads.
        targets: The columns to be forecast, X1, X2, … of arrays. None: all columns of numbers without another role.
        covariates: Further columns whose past is known.
        known_ahead: Columns whose values in the rows to be predicted are known, too: X for `predict` has these rows,
            with targets missing.
        static: Columns that are the same in all rows of a series.
        calendar: Parts of a row's time that are read: "hour", "weekday", "yearday", …
        group: The column of a frame that tells series apart.
        time: The column of a frame with dates, times or numbers; None: rows are in order.
        scale: "group": each series by its own training rows.
        value_transform: Of all numbers, before standardising.
        missing: What to do where a value is missing.
        quantiles: Levels to predict instead of the mean, in order, such as (0.1, 0.5, 0.9); `predict` then answers with
            the one nearest to the median, `predict_quantiles` with all. Forecasts reach as far as the horizon.
        units: H of the network; None for kinds that have none.
        trainer: The kind of a trainer (gradient, evolution or both), a fragment of a spec, or a `Trainer`.
        budget: Of the training: network steps (windows × time steps × members; a gradient counts 3), or a `Budget`.
        regularisation: Of the training loss, such as `{"weight_decay": 1e-4, "input_noise": 0.1}`; None: none.
        validation_fraction: Share of the rows, the last ones of each series, that is held out from training: half of it
            to choose the network and for intervals, half for what `model_.metrics` tells.
        random_state: The seed; the same one gives the same bits. None, or a generator: as in scikit-learn.

    After `fit`, `model_` is the network as a model that stands alone.
    """

    missing: Literal["refuse", "mask", "forward_fill"]  # a forecast knows no later rows

    def __init__(
        self,
        network: Fragment = "gru",
        *,
        horizon: int = 1,
        window: int = 24,
        targets: str | Sequence[str] | None = None,
        covariates: Sequence[str] = (),
        known_ahead: Sequence[str] = (),
        static: Sequence[str] = (),
        calendar: Sequence[str] = (),
        group: str | None = None,
        time: str | None = None,
        scale: Literal["column", "group"] = "column",
        value_transform: Transform = "none",
        missing: Literal["refuse", "mask", "forward_fill"] = "refuse",
        quantiles: Sequence[float] = (),
        units: int | None = 16,
        trainer: Any = "adam",
        budget: Any = 1_000_000,
        regularisation: Any = None,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.network = network
        self.horizon = horizon
        self.window = window
        self.targets = targets
        self.covariates = covariates
        self.known_ahead = known_ahead
        self.static = static
        self.calendar = calendar
        self.group = group
        self.time = time
        self.scale = scale
        self.value_transform = value_transform
        self.missing = missing
        self.quantiles = quantiles
        self.units = units
        self.trainer = trainer
        self.budget = budget
        self.regularisation = regularisation
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: None = None) -> Self:
        """Train on series X; y is not used. Raises InvalidData, a ValueError."""
        with value_errors():
            table, group = self._read(X, reset=True)
            others = (*self.covariates, *self.known_ahead, *self.static, group, self.time)
            numbers = [one.name for one in table.columns if one.kind == "number" and one.name not in others]
            names: dict[str, Any] = {
                "targets": numbers if self.targets is None else self.targets, "covariates": self.covariates,
                "known_ahead": self.known_ahead, "static": self.static, "calendar": self.calendar,
            }  # fmt: skip
            task = Forecast(
                path="", **names, group=group, time=self.time, horizon=self.horizon, window=self.window,
                scale=self.scale, transform=self.value_transform, missing=self.missing, split=self._split,
                quantiles=tuple(self.quantiles),
            )  # fmt: skip
            return self._train(task, task.data_of(table), self._seed())

    def predict(self, X: Any, steps: int | None = None) -> NDArray[np.float64]:
        """What follows the end of each series.

        Args:
            X: Series.
            steps: Rows to forecast; None: the horizon. Beyond it, forecasts go on from themselves.

        Returns:
            [steps] for one series and one target; [steps, targets]; of several series [B, steps] or
            [B, steps, targets].
        """
        preparation = self._fitted_preparation()
        names = [preparation.answers[k].name for k in preparation.point_answers]
        return np.asarray(self._next(X, steps, names, ("",))[..., 0])

    def predict_quantiles(self, X: Any) -> NDArray[np.float64]:
        """The quantiles of what follows the end of each series, to the horizon.

        Args:
            X: Series.

        Returns:
            As `predict`, with a last axis of levels, in the order of `quantiles`.
        """
        preparation = self._fitted_preparation()
        levels = list(dict.fromkeys(answer.level for answer in preparation.answers))
        if levels == [None]:
            raise InvalidData("it was trained without quantiles: give them to Forecaster, such as (0.1, 0.5, 0.9)")
        columns = list(dict.fromkeys(answer.column for answer in preparation.answers))
        return self._next(X, None, columns, tuple(f"_q{level:g}" for level in levels))

    def predict_interval(self, X: Any, steps: int | None = None, coverage: float = 0.9) -> NDArray[np.float64]:
        """Split conformal intervals around what `predict` answers, calibrated on rows that were held out.

        Args:
            X: Series.
            steps: Rows to forecast; None: the horizon.
            coverage: The probability that the truth is inside.

        Returns:
            As `predict`, with a last axis of low and high; infinite where too few rows were held out.
        """
        names = [answer.name for answer in self._fitted_preparation().answers]
        return self._next(X, steps, names, ("_low", "_high"), coverage)

    def score(self, X: Any, y: None = None) -> float:
        """R² of all forecasts within X whose rows are all there, the mean of several targets; y is not used."""
        check_is_fitted(self)
        with value_errors():
            measures = self.model_.evaluate(self._read(X, reset=False)[0])
        return float(np.mean([np.nan if of["r2"] is None else of["r2"] for of in measures.values()]))

    def _next(
        self, X: Any, steps: int | None, names: Sequence[str], sides: Sequence[str], coverage: float | None = None
    ) -> NDArray[np.float64]:
        """[(B,) steps (, targets), sides]"""
        with value_errors():
            table, group = self._read(X, reset=False)
        ahead = steps or self.horizon
        answers = self._predict(table, next=ahead, coverage=coverage)
        columns = [[answers.column(f"{name}{side}").values for side in sides] for name in names]
        values = np.array(columns).transpose(2, 0, 1).reshape(-1, ahead, len(names), len(sides))
        values = values[:, :, 0] if len(names) == 1 else values
        return values if group is not None else values[0]

    def _fitted_preparation(self) -> Preparation:
        check_is_fitted(self)
        return self.model_.own_preparation

    def _read(self, X: Any, reset: bool) -> tuple[Table, str | None]:
        """The series as a table, and the column that tells them apart."""
        if isinstance(X, (pd.DataFrame, pd.Series)):
            frame = X.to_frame(X.name or "X") if isinstance(X, pd.Series) else X
            validate_data(self, frame, reset=reset, skip_check_array=True)
            return read(frame), self.group
        if self.group is not None:
            raise InvalidData(f"group is {self.group!r}, but X is no frame: leave group out, or give a frame")
        if as_sequences(X) is not None:
            return read({"X": check_sequences(self, X, True, reset)}), SEQUENCE
        series = X[:, None] if isinstance(X, np.ndarray) and X.ndim == 1 else X
        finite = True if self.missing == "refuse" else "allow-nan"
        how = {"dtype": np.float64, "ensure_all_finite": finite, "ensure_min_samples": self.window if reset else 1}
        return read({"X": validate_data(self, series, reset=reset, **how)}), None
