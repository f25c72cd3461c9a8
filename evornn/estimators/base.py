"""What all estimators do: build a task of own data, train a network on it, keep it as a model that stands alone.

Settings are checked when `fit` uses them, by those who use them: the task, the network, the trainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from evornn.data.preparation import MissingPolicy
from evornn.data.table import Table
from evornn.errors import EvornnError
from evornn.library import train
from evornn.models.standalone import StandaloneModel
from evornn.networks.network import Network
from evornn.tasks.core.task import Data, Task
from evornn.training.check import check_causal

if TYPE_CHECKING:
    from evornn.trainers.core.trainer import Trainer
    from evornn.training.budget import Budget
    from evornn.training.regularisation import Regularisation

Fragment: TypeAlias = "str | Mapping[str, Any]"  # the kind of a network or a trainer, or a fragment of a spec


class InvalidData(EvornnError, ValueError):
    """An EvornnError that scikit-learn's tools know as a ValueError, as they expect of estimators."""


@contextmanager
def value_errors() -> Iterator[None]:
    """Turns EvornnError into InvalidData."""
    try:
        yield
    except InvalidData:
        raise
    except EvornnError as error:
        raise InvalidData(str(error)) from error


class Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Settings that all estimators have, and what they do with a task."""

    model_: StandaloneModel  # after fit
    network: Fragment
    units: int | None
    trainer: Fragment | Trainer
    budget: int | Budget
    regularisation: Regularisation | Mapping[str, Any] | None
    random_state: int | np.random.RandomState | None
    validation_fraction: float
    missing: MissingPolicy

    def save(self, path: str | Path) -> None:
        """Write the model to a file that stands alone, for `StandaloneModel.load` and `evornn predict`."""
        check_is_fitted(self)
        self.model_.save(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "refuse"
        return tags

    @property
    def _split(self) -> tuple[float, float, float]:
        """Training, and what is held out: half of it to choose the network and for intervals, half for the metrics that
        the model tells."""
        if not 0 < self.validation_fraction < 1:
            raise InvalidData(f"validation_fraction: must be between 0 and 1, got {self.validation_fraction!r}")
        half = self.validation_fraction / 2
        return 1 - 2 * half, half, half

    def _seed(self) -> int:
        """Of all that is random. A whole number is the seed itself, so that a run with it has the same bits."""
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _train(self, task: Task, data: Data, seed: int) -> Self:
        network = self._build_network(*data.sizes)
        check_causal(network, task)
        trained = train(network, data, self.trainer, seed, self.budget, regularisation=self.regularisation)
        self.model_ = trained.model
        return self

    def _build_network(self, inputs: int, outputs: int) -> Network:
        spec = {"kind": self.network} if isinstance(self.network, str) else dict(self.network)
        kind = spec.pop("kind", None)
        if kind is None:
            raise InvalidData("network: has no kind: name one, such as {'kind': 'gru', 'layers': 2}")
        return Network(kind, inputs=inputs, outputs=outputs, **{"units": self.units, **spec})

    def _predict(self, table: Table, **how: Any) -> Table:
        with value_errors():
            answers: Table = self.model_.predict(table, **how)
            return answers
