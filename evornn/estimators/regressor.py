"""Numbers for each sequence."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from evornn.data.preparation import MissingPolicy
from evornn.data.scaling import Transform
from evornn.data.table import Column
from evornn.estimators.base import Estimator, Fragment, value_errors
from evornn.estimators.sequence_tables import names_of, per_sequence, read_numbers, read_sequences
from evornn.tasks.regress import Regress


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Predicts a number for each sequence, or several.

    X is as that of `Classifier`; y [B] or [B, O] has the numbers of each sequence, or of each row of a frame with
    groups, in their own units.

    >>> X = np.random.default_rng(0).normal(size=(60, 5, 2))
    >>> regressor = Regressor(units=4, budget=30_000, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
    >>> regressor.predict(X).shape, regressor.predict_interval(X, coverage=0.8).shape
    ((60,), (60, 2))

    Args:
        network: The kind of a network, or a fragment of a spec, such as `{"kind": "lstm", "layers": 2}`.
        units: H of the network; None for kinds that have none.
        trainer: The kind of a trainer (gradient, evolution or both), a fragment of a spec, or a `Trainer`.
        budget: Of the training: network steps (sequences × time steps × members; a gradient counts 3), or a `Budget`.
        regularisation: Of the training loss, such as `{"weight_decay": 1e-4, "input_noise": 0.1}`; None: none.
        validation_fraction: Share of the sequences that is held out from training: half of it to choose the network
            and for intervals, half for what `model_.metrics` tells.
        target_transform: Of the targets, before standardising: "log1p" for numbers of several magnitudes.
        group: The column of a frame that tells sequences apart.
        time: The column of a frame by which rows are ordered; None: they are in order.
        missing: What to do where an input is missing.
        random_state: The seed; the same one gives the same bits. None, or a generator: as in scikit-learn.

    After `fit`, `model_` is the network as a model that stands alone.
    """

    def __init__(
        self,
        network: Fragment = "gru",
        *,
        units: int | None = 16,
        trainer: Any = "adam",
        budget: Any = 1_000_000,
        regularisation: Any = None,
        validation_fraction: float = 0.2,
        target_transform: Transform = "none",
        group: str | None = None,
        time: str | None = None,
        missing: MissingPolicy = "refuse",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.network = network
        self.units = units
        self.trainer = trainer
        self.budget = budget
        self.regularisation = regularisation
        self.validation_fraction = validation_fraction
        self.target_transform = target_transform
        self.group = group
        self.time = time
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on sequences X and their numbers y. Raises InvalidData, a ValueError."""
        with value_errors():
            sequences = read_sequences(self, X, self.group, self.missing != "refuse", reset=True)
            count = int(sequences.positions.max()) + 1
            given = read_numbers(per_sequence(y, X, self.group), count)
            self._is_flat, values = given.ndim == 1, given.reshape(count, -1).T
            names = names_of(y, len(values), sequences.table.names)
            columns = [Column(name, "number", own) for name, own in zip(names, values, strict=True)]
            seed = self._seed()
            task = Regress(
                path="", group=sequences.group, targets=tuple(names), target_transform=self.target_transform,
                time=self.time, missing=self.missing, split=self._split, data_seed=seed,
            )  # fmt: skip
            return self._train(task, task.data_of(sequences.with_columns(columns)), seed)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """[B] numbers, or [B, O] if y was [B, O]."""
        check_is_fitted(self)
        answers = self._predict(self._read(X))
        columns = [answers.column(answer.column).values for answer in self.model_.own_preparation.answers]
        return columns[0] if self._is_flat else np.column_stack(columns)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> NDArray[np.float64]:
        """Split conformal intervals, calibrated on what was held out.

        Args:
            X: Sequences.
            coverage: The probability that the truth is inside.

        Returns:
            [B, 2] low and high, or [B, O, 2]; infinite where too few sequences were held out.
        """
        check_is_fitted(self)
        answers = self._predict(self._read(X), coverage=coverage)
        names = [answer.column for answer in self.model_.own_preparation.answers]
        sides = [[answers.column(f"{name}{side}").values for side in ("_low", "_high")] for name in names]
        intervals = np.array(sides).transpose(2, 0, 1)
        return intervals[:, 0] if self._is_flat else intervals

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², the mean of several."""
        return float(super().score(X, per_sequence(y, X, self.group), sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _read(self, X: Any) -> Any:
        with value_errors():
            return read_sequences(self, X, self.group, self.missing != "refuse", reset=False).table
