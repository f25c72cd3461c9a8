"""Where in its ranges a method is tried next: Optuna's tree-structured Parzen estimator, asked and told in order.

Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; the library is Akiba et al. 2019. It keeps nothing:
what was told is in our store, and telling it again in the same order brings back the same sampler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import require
from evornn.experiments.ranges import Numbers, Range

RANDOM = 10  # trials at random before anything is estimated: Optuna's own number, or half of all if that is less
DIGITS = 4  # significant ones, so that what was found can be written down


class Sampler:
    """The trials of one method, numbered 0, 1, … in the order in which they are asked for."""

    def __init__(self, space: Mapping[str, Range], seed: int, trials: int) -> None:
        with require("tune", "tuning"):
            import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = dict(space)
        self._distributions = {name: _distribution(part) for name, part in space.items()}
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(RANDOM, max(1, trials // 2)))
        )

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Number of a new trial, and its settings."""
        trial = self._study.ask(self._distributions)
        return trial.number, {name: _value(part, trial.params[name]) for name, part in self._space.items()}

    def tell(self, number: int, loss: float) -> None:
        """What a trial came to; infinity is the worst."""
        self._study.tell(number, loss)

    def refuse(self, number: int) -> None:
        """The settings of a trial don't fit together: it counts for nothing."""
        from optuna.trial import TrialState

        self._study.tell(number, state=TrialState.FAIL)


def _distribution(part: Range) -> Any:
    from optuna import distributions

    if not isinstance(part, Numbers):
        return distributions.CategoricalDistribution(range(len(part.options)))
    if part.is_integer:
        return distributions.IntDistribution(int(part.low), int(part.high), log=part.log)
    return distributions.FloatDistribution(part.low, part.high, log=part.log)


def _value(part: Range, sample: Any) -> Any:
    if not isinstance(part, Numbers):
        return part.options[sample]
    return int(sample) if part.is_integer else min(max(float(f"{sample:.{DIGITS}g}"), part.low), part.high)
