"""Proposes the settings of the next trial: Optuna's tree-structured Parzen estimator, with `ask` and `tell`.

Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; the library is Akiba et al. 2019. A sampler stores
nothing: all losses are in our store, and telling them again in the same order restores the same sampler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import require
from evornn.experiments.ranges import Numbers, Range

RANDOM = 10  # random trials before the first estimate: Optuna's default, or half of all if that is less
DIGITS = 4  # significant digits of a proposal, so that it can be written into a spec


class Sampler:
    """The trials of one method, numbered 0, 1, … in the order of `ask`.

    Args:
        space: Name of a setting → its range.
        seed: Seed of the sampler.
        trials: How many trials there will be.
    """

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
        """Number and settings of a new trial."""
        trial = self._study.ask(self._distributions)
        return trial.number, {name: _value(part, trial.params[name]) for name, part in self._space.items()}

    def tell(self, number: int, loss: float) -> None:
        """Report the loss of a trial; infinity is the worst."""
        self._study.tell(number, loss)

    def refuse(self, number: int) -> None:
        """Report that the settings of a trial don't fit together; the estimate ignores it."""
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
