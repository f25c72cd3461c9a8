"""NARMA-10 (Atiya & Parlos 2000; Jaeger 2003): follow a non-linear system of order ten from its input alone."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from evornn.arrays import Streams
from evornn.data.scaling import Doubles
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import make_data
from evornn.tasks.core.task import Data, Sequences, Task


@settings
class NARMA(Task):
    """y(t+1) = 0.3 y(t) + 0.05 y(t) Σ y(t−i) + 1.5 u(t−9) u(t) + 0.1, i = 0 … 9, u uniform in [0, 0.5]. The network
    reads u(t) and answers y(t+1). Each split is one sequence from rest, whose first `washout` steps don't count."""

    train: Annotated[int, Ge(1)] = 2000  # steps that count
    valid: Annotated[int, Ge(1)] = 1000
    test: Annotated[int, Ge(1)] = 3000
    washout: Annotated[int, Ge(0)] = 200
    order: Annotated[int, Ge(2)] = 10
    data_seed: Annotated[int, Ge(0)] = 0

    causal: ClassVar[bool] = True

    def data(self) -> Data:
        """I = 1 (u), O = 1 (y), both unscaled; B = 1."""
        streams = Streams(self.data_seed, "narma")
        return make_data(
            *(self._sequence(getattr(self, split), streams.child(split)) for split in ("train", "valid", "test")),
            loss="mse",
            labels=("y, 1 step ahead",),
            note=f"NARMA-{self.order} (Atiya & Parlos 2000; Jaeger 2003), generated with data_seed {self.data_seed}.",
            score=scores.nrmse(),
        )

    def _sequence(self, steps: int, streams: Streams) -> Sequences:
        """[1, washout + steps, 1]. The system diverges on rare inputs; another one is then drawn."""
        length = self.washout + steps
        for attempt in range(100):
            u = streams.at(attempt).uniform(0.0, 0.5, length)
            y = narma(u, self.order)
            if np.abs(y).max() < 10.0:
                mask = np.arange(length) >= self.washout
                inputs, targets = u.astype(np.float32), np.where(mask, y, 0.0).astype(np.float32)
                return Sequences(inputs[None, :, None], targets[None, :, None], mask[None])
        raise EvornnError(f"order: NARMA-{self.order} diverges on every input of {length} steps: lower order or steps")


def narma(u: Doubles, order: int) -> Doubles:
    """[T] u(t) → [T] y(t+1), from rest; infinite after divergence."""
    y, past = np.zeros(len(u) + order), np.concatenate([np.zeros(order - 1), u])
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(len(u)):
            last = y[t : t + order]  # y(t − order + 1) … y(t)
            y[t + order] = 0.3 * last[-1] + 0.05 * last[-1] * last.sum() + 1.5 * past[t] * u[t] + 0.1
    return np.where(np.isfinite(y[order:]), y[order:], np.inf)
