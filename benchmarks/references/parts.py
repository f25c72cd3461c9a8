"""What is asked of evornn: the sets of each part, and the settings that each method may choose from.

All of this was fixed before any result was seen, except for what the page says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

Fragment: TypeAlias = dict[str, Any]
SEARCH_SEEDS, SEEDS, FOLDS = (100, 101), (0, 1, 2, 3, 4), 5
RATES, SIGMAS = (0.003, 0.01, 0.03), (0.5, 1.0, 2.0)
LOSS_STEPS: tuple[Fragment, ...] = ({"loss_steps": "last"}, {"loss_steps": "every"})
PAST: tuple[Fragment, ...] = ({"past": "levels"}, {"past": "changes"}, {"past": "both"})
QUICK_SHARE = 20  # a quick run has this part of the steps


@dataclass(frozen=True)
class Candidate:
    """One combination of settings, as fragments of a spec."""

    task: Fragment  # what it changes of the task
    network: Fragment
    trainer: Fragment

    def settings(self) -> str:
        """What differs from candidate to candidate, in words."""
        rates = {name: self.trainer[name] for name in ("learning_rate", "sigma") if name in self.trainer}
        rates |= {"learning_rate": self.trainer["refine"]["learning_rate"]} if "refine" in self.trainer else {}
        chosen = {**self.task, **rates}
        return ", ".join(f"{name.replace('_', ' ')} {value or 'none'}" for name, value in chosen.items())


@dataclass(frozen=True)
class Set:
    """One set of data with a question about it."""

    name: str
    title: str
    source: str  # with the licence
    task: Fragment
    choices: tuple[Fragment, ...]  # what the task may choose from
    units: int
    steps: int  # network steps of a run
    batch: int = 32  # sequences of an update
    covariance: str = (
        "full"  # of CMA-ES; limited_memory: about the same in a tenth of the time for thousands of weights
    )
    folds: int = 0  # of a cross-validation that is repeated with each seed; 0: the split is given
    seeds: tuple[int, ...] = SEEDS
    search_seeds: tuple[int, ...] = SEARCH_SEEDS

    @property
    def budget(self) -> Fragment:
        """The same for each method. A run ends after 60 marks of 100 without a lower validation loss: later than a
        hybrid goes over to its second trainer, at the 50th, so that each has its turn."""
        return {"steps": self.steps, "marks": 100, "patience": 60}

    def candidates(self, method: str) -> list[Candidate]:
        """Equally many for each method."""
        network = {"kind": "lstm", "units": self.units}
        return [Candidate(own, network, one) for own, one in product(self.choices, trainers(method, self))]

    def quick(self) -> Set:
        """Small enough to see whether it runs."""
        few = {"choices": self.choices[:1], "seeds": SEEDS[:2], "search_seeds": SEARCH_SEEDS[:1]}
        return replace(self, steps=self.steps // QUICK_SHARE, folds=min(self.folds, 3), **few)


METHODS = ("evolution", "gradient", "hybrid")
BY_HAND = "torch.nn.LSTM by hand"


def trainers(method: str, one: Set) -> list[Fragment]:
    """What a method may choose from: step sizes of evolution, learning rates of a gradient."""
    form = {} if one.covariance == "full" else {"covariance": one.covariance}
    evolution = {"kind": "cma_es", "batch": one.batch, **form}
    gradients = [{"kind": "adam", "batch": one.batch, "learning_rate": rate} for rate in RATES]
    return {
        "evolution": [{**evolution, "sigma": sigma} for sigma in SIGMAS],
        "gradient": gradients,
        "hybrid": [{"kind": "evolve_then_refine", "evolve": evolution, "refine": one} for one in gradients],
        BY_HAND: gradients,
    }[method]


def _forecast(name: str, horizon: int, season: int, split: Sequence[str]) -> Fragment:
    columns = {"targets": "value", "group": "series", "time": "date", "scale": "group"}
    how = {"horizon": horizon, "window": 24, "season": season, "split": list(split)}
    return {"kind": "forecast", "path": f"{name}.csv", **columns, **how}


def _classify(name: str, title: str, source: str) -> Set:
    task = {"kind": "classify", "path": f"{name}.csv", "group": "sequence", "target": "class", "split_column": "part"}
    return Set(name, title, source, task, LOSS_STEPS, 16, 4_000_000, batch=16, covariance="limited_memory")


ARCHIVE = "package aeon (BSD 3-clause), from the archives of timeseriesclassification.com"
TAGS = [f"Tag{number:02}" for number in range(1, 11)]
ENDS = [f"end {tag}" for tag in TAGS[1:9]]  # those that vary: see `files.batch_table`
PARTS: Mapping[str, tuple[Set, ...]] = {
    "forecasting": (
        Set(
            "macrodata",
            "US economy: 11 quarterly series, 1959 to 2009, 4 quarters ahead",
            "package statsmodels (BSD 3-clause), data set macrodata; FRED and BLS, public domain",
            _forecast("macrodata", 4, 4, ("1994-01-01", "2002-01-01")),
            PAST,
            units=16,
            steps=5_000_000,
        ),
        Set(
            "employment",
            "US employment: 22 monthly series, 2006 to 2015, 6 months ahead",
            "package vega-datasets (MIT), us-employment; US Bureau of Labor Statistics, public domain",
            _forecast("employment", 6, 12, ("2012-01-01", "2014-01-01")),
            PAST,
            units=16,
            steps=5_000_000,
        ),
    ),
    "classification": (
        _classify("japanese_vowels", "JapaneseVowels: 12 channels, 7 to 29 steps, 9 classes", ARCHIVE),
        _classify("basic_motions", "BasicMotions: 6 channels, 100 steps, 4 classes", ARCHIVE),
        _classify("italy_power_demand", "ItalyPowerDemand: 1 channel, 24 steps, 2 classes", ARCHIVE),
        _classify("arrow_head", "ArrowHead: 1 channel, 251 steps, 3 classes", ARCHIVE),
    ),
    "quality": (
        Set(
            "nylon",
            "Nylon autoclave: the ends of 8 tags from the first 85 samples of 57 batches",
            "package process-improve (MIT), load_nylon; Kassidas, PhD thesis, McMaster University, 1997",
            {"kind": "regress", "path": "nylon.csv", "group": "batch", "inputs": TAGS, "targets": ENDS},
            LOSS_STEPS,
            units=8,
            steps=2_000_000,
            folds=FOLDS,
        ),
    ),
}


def sets(part: str, quick: bool = False) -> list[Set]:
    """The sets of a part."""
    return [one.quick() if quick else one for one in PARTS[part]]
