"""Schedules: how a learning rate changes over a run."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BeforeValidator

from evornn.settings import settings


@settings
class Schedule:
    """A factor of the learning rate as a function of the share of the budget that is spent.

    In a spec the name of the shape is enough: `schedule: cosine`.

    `step` multiplies by `factor` at each of the `drops`; `cosine` falls from 1 to `factor` (Loshchilov & Hutter 2017,
    eq. 5, without restarts); `linear` falls evenly. Over the first `warm_up` of the budget the rate rises evenly from
    0.
    """

    shape: Literal["constant", "step", "cosine", "linear"] = "constant"
    factor: Annotated[float, Ge(0), Le(1)] = 0.1
    drops: tuple[Annotated[float, Gt(0), Lt(1)], ...] = (0.5, 0.75)  # shares of the budget
    warm_up: Annotated[float, Ge(0), Lt(1)] = 0.0  # share of the budget

    def at(self, elapsed: float) -> float:
        """The factor at a share `elapsed` of the budget, 0 … 1."""
        rising = elapsed / self.warm_up if elapsed < self.warm_up else 1.0
        left = max(0.0, elapsed - self.warm_up) / (1 - self.warm_up)  # share spent of what follows it
        if self.shape == "step":
            return rising * float(self.factor ** sum(elapsed >= drop for drop in self.drops))
        if self.shape == "cosine":
            return rising * (self.factor + (1 - self.factor) * (1 + cos(pi * left)) / 2)
        return rising * (1 - (1 - self.factor) * left if self.shape == "linear" else 1.0)


def _parse_shape(value: Any) -> Any:
    return {"shape": value} if isinstance(value, str) else value


ScheduleSetting = Annotated[Schedule, BeforeValidator(_parse_shape)]
