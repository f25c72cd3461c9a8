"""A class for each sequence."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from evornn.data.preparation import MissingPolicy
from evornn.data.table import Column
from evornn.estimators.base import Estimator, Fragment, InvalidData, value_errors
from evornn.estimators.sequence_tables import names_of, per_sequence, read_classes, read_sequences
from evornn.tasks.classify import Classify


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Tells classes of sequences apart.

    X is an array [B, T, I]; a list of arrays [T, I] of unequal lengths; a pandas frame whose column `group` says to
    which sequence a row belongs; or an array or frame [B, I], each row of which is a sequence of one step. y has a
    class for each sequence, or for each row of a frame with groups.

    >>> X = np.random.default_rng(0).normal(size=(60, 5, 2))
    >>> y = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
    >>> classifier = Classifier(units=4, budget=30_000, random_state=0).fit(X, y)
    >>> classifier.predict(X).shape, classifier.predict_proba(X).shape
    ((60,), (60, 2))

    Args:
        network: The kind of a network, or a fragment of a spec, such as `{"kind": "lstm", "layers": 2}`.
        units: H of the network; None for kinds that have none.
        trainer: The kind of a trainer (gradient, evolution or both), a fragment of a spec, or a `Trainer`.
        budget: Of the training: network steps (sequences × time steps × members; a gradient counts 3), or a `Budget`.
        regularisation: Of the training loss, such as `{"weight_decay": 1e-4, "input_noise": 0.1}`; None: none.
        validation_fraction: Share of the sequences that is held out from training: half of it to choose the network,
            half for what `model_.metrics` tells.
        class_weight: "balanced": classes count the same, however rare.
        group: The column of a frame that tells sequences apart.
        time: The column of a frame by which rows are ordered; None: they are in order.
        missing: What to do where an input is missing.
        random_state: The seed; the same one gives the same bits. None, or a generator: as in scikit-learn.

    After `fit`, `model_` is the network as a model that stands alone, `classes_` are the classes.
    """

    classes_: NDArray[Any]

    def __init__(
        self,
        network: Fragment = "gru",
        *,
        units: int | None = 16,
        trainer: Any = "adam",
        budget: Any = 1_000_000,
        regularisation: Any = None,
        validation_fraction: float = 0.2,
        class_weight: Literal["balanced"] | None = None,
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
        self.class_weight = class_weight
        self.group = group
        self.time = time
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on sequences X and their classes y. Raises InvalidData, a ValueError."""
        if self.class_weight not in (None, "balanced"):
            raise InvalidData(f"class_weight: must be None or 'balanced', got {self.class_weight!r}")
        with value_errors():
            sequences = read_sequences(self, X, self.group, self.missing != "refuse", reset=True)
            count = int(sequences.positions.max()) + 1
            given = read_classes(per_sequence(y, X, self.group), count)
            check_classification_targets(given)
            self.classes_, numbers = np.unique(given, return_inverse=True)
            (name,) = names_of(y, 1, sequences.table.names)
            column = Column(name, "category", numbers.astype(np.int64), tuple(map(str, self.classes_)))
            seed, weights = self._seed(), self.class_weight or "none"
            task = Classify(
                path="", group=sequences.group, target=name, class_weights=weights, time=self.time,
                missing=self.missing, split=self._split, data_seed=seed,
            )  # fmt: skip
            return self._train(task, task.data_of(sequences.with_columns([column])), seed)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """[B, classes] the probability of each of `classes_`."""
        check_is_fitted(self)
        with value_errors():
            sequences = read_sequences(self, X, self.group, self.missing != "refuse", reset=False)
        answers = self._predict(sequences.table)
        return np.column_stack([column.values for column in answers.columns[-len(self.classes_) :]])

    def predict(self, X: Any) -> NDArray[Any]:
        """[B] the most probable class."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right answers."""
        return float(super().score(X, per_sequence(y, X, self.group), sample_weight))
