"""What tuning is: methods with ranges, the runs of a trial, and those of the comparison at the end.

A method is a task, a network and a trainer. Each gets the same number of trials, on the same seeds with the same
budget; none of these seeds is used in the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Le

from evornn.arrays import Streams
from evornn.experiments import ranges
from evornn.experiments.ranges import KeyPath, Range
from evornn.experiments.spec import Experiment, RunPlan
from evornn.experiments.tuning.sampler import Sampler
from evornn.settings import as_dict, settings
from evornn.training.budget import Budget

Labels: TypeAlias = tuple[str, str, str]  # of a task, a network and a trainer


@settings
class TuningSettings:
    """The section `tuning` of a spec. Trials of a batch are computed side by side and don't know of each other, so that
    what is tried doesn't depend on the number of workers."""

    trials: Annotated[int, Ge(1), Le(10_000)]  # of each method
    seeds: Annotated[int, Ge(1), Le(1_000)] = 1  # of each trial: its loss is the median
    budget: Budget | None = None  # of each run of a trial; None: that of the comparison
    batch: Annotated[int, Ge(1), Le(1_000)] = 4
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0  # what is drawn derives from it


@dataclass(frozen=True)
class Method:
    """Labels, the fragments of a run with all settings at their defaults, and the ranges of some settings."""

    task: str
    network: str
    trainer: str
    fragments: dict[str, Any]
    space: dict[str, Range]  # "trainer.learning_rate" → range
    places: dict[str, KeyPath]  # the same → ("trainer", "learning_rate"); both sorted, as a store sorts keys

    @property
    def labels(self) -> Labels:
        return self.task, self.network, self.trainer

    @property
    def tuned_trainer(self) -> str:
        return f"{self.trainer} (tuned)"

    @property
    def tuned_task(self) -> str:
        """A task of which a setting was tuned is another task; its losses are not compared with the first one's."""
        return self._task(f"(tuned for {self.network}, {self.trainer})")

    def set(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fragments with these values of the space."""
        fragments: Any = self.fragments
        for name, value in values.items():
            fragments = ranges.set_value(fragments, self.places[name], value)
        return dict(fragments)

    def values(self, fragments: Mapping[str, Any]) -> dict[str, Any]:
        """The opposite of `set`."""
        return {name: ranges.get_value(fragments, path) for name, path in self.places.items()}

    def trial(self, number: int) -> Labels:
        """The labels of its runs."""
        return self._task(f"trial {number + 1}"), self.network, f"{self.trainer}, trial {number + 1}"

    def of_trial(self, labels: Labels, number: int) -> Labels:
        """The opposite of `trial`."""
        task, network, trainer = labels
        if self._is_task_tuned:
            task = task.removesuffix(f" trial {number + 1}")
        return task, network, trainer.removesuffix(f", trial {number + 1}")

    def _task(self, which: str) -> str:
        return f"{self.task} {which}" if self._is_task_tuned else self.task

    @property
    def _is_task_tuned(self) -> bool:
        return any(path[0] == "task" for path in self.places.values())


@dataclass(frozen=True)
class TunableSpec:
    """A spec with ranges, checked. `experiment` has all settings at their defaults."""

    experiment: Experiment
    tuning: TuningSettings
    methods: tuple[Method, ...]  # also those without a range, which there is nothing to tune of

    @property
    def tunable_methods(self) -> tuple[Method, ...]:
        """The methods that have a range."""
        return tuple(method for method in self.methods if method.space)

    @property
    def budget(self) -> Budget:
        """Of each run of a trial."""
        return self.tuning.budget or self.experiment.budget

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Those of every trial, which are none of the comparison's."""
        streams, used = Streams(self.tuning.seed, "tuning/seeds"), set(self.experiment.seed_list)
        fresh: list[int] = []
        for seed in map(streams.integer, count()):
            if len(fresh) == self.tuning.seeds:
                break
            if seed not in used:
                fresh.append(seed)
                used.add(seed)
        return tuple(fresh)

    def sampler(self, method: Method) -> Sampler:
        streams = Streams(self.tuning.seed, "tuning")
        for label in method.labels:
            streams = streams.child(label)
        return Sampler(method.space, streams.integer(0), self.tuning.trials)

    def trial(self, method: Method, number: int, values: Mapping[str, Any], position: int = 0) -> list[RunPlan]:
        """The runs of a trial, one per seed; `position` is that of the first."""
        labels, fragments, budget = method.trial(number), method.set(values), as_dict(self.budget)
        return [RunPlan(*labels, fragments, seed, budget, position + k) for k, seed in enumerate(self.seeds)]

    def comparison(self, best_values: Mapping[Labels, Mapping[str, Any]]) -> list[RunPlan]:
        """Every method with its defaults and, where it was tuned, with what was found; seed by seed."""
        budget = as_dict(self.experiment.budget)
        runs: list[tuple[str, str, str, dict[str, Any], int]] = []
        for seed in self.experiment.seed_list:
            for m in self.methods:
                runs.append((*m.labels, m.fragments, seed))
                if m.labels in best_values:
                    runs.append((m.tuned_task, m.network, m.tuned_trainer, m.set(best_values[m.labels]), seed))
        return [RunPlan(*run, budget, position) for position, run in enumerate(runs)]
