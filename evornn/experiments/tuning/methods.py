"""Methods with ranges, the runs of their trials, and those of the comparison at the end.

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
from evornn.training.regularisation import NO_REGULARISATION

Labels: TypeAlias = tuple[str, str, str]  # of a task, a network and a trainer


@settings
class TuningSettings:
    """The section `tuning` of a spec. The trials of a batch run in parallel, proposed without knowing of each other, so
    that the proposals don't depend on the number of workers."""

    trials: Annotated[int, Ge(1), Le(10_000)]  # of each method
    seeds: Annotated[int, Ge(1), Le(1_000)] = 1  # of each trial, whose loss is the median over them
    budget: Budget | None = None  # of each run of a trial; None: that of the comparison
    batch: Annotated[int, Ge(1), Le(1_000)] = 4
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0  # of the sampler


@dataclass(frozen=True)
class Method:
    """A task, a network and a trainer, and the ranges of their settings."""

    task: str  # label
    network: str  # label
    trainer: str  # label
    fragments: dict[str, Any]  # of a run, with all settings at their defaults
    space: dict[str, Range]  # "trainer.learning_rate" → range
    places: dict[str, KeyPath]  # the same → ("trainer", "learning_rate"); both sorted, as a store sorts keys

    @property
    def labels(self) -> Labels:
        """Labels of its task, network and trainer."""
        return self.task, self.network, self.trainer

    @property
    def tuned_trainer(self) -> str:
        """Label of the tuned trainer in the comparison."""
        return f"{self.trainer} (tuned)"

    @property
    def tuned_task(self) -> str:
        """Label of the task in the comparison. A tuned task is another task, whose losses are not comparable."""
        return self._task(f"(tuned for {self.network}, {self.trainer})")

    def set(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fragments with these values of the space."""
        fragments: Any = self.fragments
        if any(path[0] == "regularisation" for path in self.places.values()):
            fragments = {"regularisation": as_dict(NO_REGULARISATION), **fragments}
        for name, value in values.items():
            fragments = ranges.set_value(fragments, self.places[name], value)
        return dict(fragments)

    def values(self, fragments: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of `set`: the values of the space in some fragments."""
        return {name: ranges.get_value(fragments, path) for name, path in self.places.items()}

    def trial(self, number: int) -> Labels:
        """Labels of the runs of a trial."""
        return self._task(f"trial {number + 1}"), self.network, f"{self.trainer}, trial {number + 1}"

    def of_trial(self, labels: Labels, number: int) -> Labels:
        """The inverse of `trial`: the labels of the method."""
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
    """A checked spec with ranges."""

    experiment: Experiment  # with all settings at their defaults
    tuning: TuningSettings
    methods: tuple[Method, ...]  # including those without a range, which are not tuned

    @property
    def tunable_methods(self) -> tuple[Method, ...]:
        """The methods that have a range."""
        return tuple(method for method in self.methods if method.space)

    @property
    def budget(self) -> Budget:
        """Budget of each run of a trial."""
        return self.tuning.budget or self.experiment.budget

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of every trial. None of them is used in the comparison."""
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
        """A new sampler for a method."""
        streams = Streams(self.tuning.seed, "tuning")
        for label in method.labels:
            streams = streams.child(label)
        return Sampler(method.space, streams.integer(0), self.tuning.trials)

    def trial(self, method: Method, number: int, values: Mapping[str, Any], position: int = 0) -> list[RunPlan]:
        """The runs of a trial, one per seed.

        Args:
            method: The method.
            number: Number of the trial, from 0.
            values: The trial's settings.
            position: Position of the first run in its job.
        """
        labels, fragments, budget = method.trial(number), method.set(values), as_dict(self.budget)
        return [RunPlan(*labels, fragments, seed, budget, position + k) for k, seed in enumerate(self.seeds)]

    def comparison(self, best_values: Mapping[Labels, Mapping[str, Any]]) -> list[RunPlan]:
        """The runs of the comparison, seed by seed: every method with its defaults and, if it was tuned, with its best
        values."""
        budget = as_dict(self.experiment.budget)
        runs: list[tuple[str, str, str, dict[str, Any], int]] = []
        for seed in self.experiment.seed_list:
            for m in self.methods:
                runs.append((*m.labels, m.fragments, seed))
                if m.labels in best_values:
                    runs.append((m.tuned_task, m.network, m.tuned_trainer, m.set(best_values[m.labels]), seed))
        return [RunPlan(*run, budget, position) for position, run in enumerate(runs)]
