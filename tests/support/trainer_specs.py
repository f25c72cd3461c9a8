"""Variants of every trainer, which all keep one contract: each at small sizes, on batches, and with other settings."""

from __future__ import annotations

from typing import Any

import pytest
from small_specs import has_setting, small_spec

from evornn.trainers import TRAINERS
from evornn.trainers.core.gradient import FirstOrderTrainer
from evornn.trainers.core.population import PopulationTrainer
from evornn.trainers.core.trainer import Trainer


def contract_specs(variants: dict[str, dict[str, Any]], batch: int, **sizes: Any) -> dict[str, dict[str, Any]]:
    """Each trainer of the catalog as `kind` and, where it or a part has batches, `kind, batch`; and the variants, which
    may replace these."""
    specs = {kind: small_spec(TRAINERS, kind, **sizes) for kind in TRAINERS}
    batches = {f"{kind}, batch": small_spec(TRAINERS, kind, **{**sizes, "batch": batch}) for kind in TRAINERS}
    return specs | {name: spec for name, spec in batches.items() if has_setting(spec, "batch")} | variants


def has_windows(spec: dict[str, Any]) -> bool:
    """Whether it asks for windows of time steps."""
    return getattr(TRAINERS.build(spec), "length", None) is not None


def build_small(kind: str, **sizes: Any) -> Trainer:
    """A trainer with those of the sizes and settings that it has."""
    return TRAINERS.build(small_spec(TRAINERS, kind, **sizes))


VARIANTS: dict[str, dict[str, Any]] = {
    "weight_guessing, range": {"kind": "weight_guessing", "population": 8, "initial_range": [-1, 3]},
    "ridge, batch": {"kind": "ridge", "population": 8, "batch": 4, "ridge": 0.0},
    "particle_swarm, batch": {"kind": "particle_swarm", "population": 8, "neighbours": "all", "batch": 4},
    "differential_evolution, best": {
        "kind": "differential_evolution",
        "population": 12,
        "strategy": "best",
        "weight": 0.7,
    },
    "differential_evolution, batch": {
        "kind": "differential_evolution",
        "population": 8,
        "strategy": "current_to_best",
        "weight": 0.8,
        "batch": 4,
    },
    "genetic_algorithm, batch": {"kind": "genetic_algorithm", "batch": 4, "crossover": "one_point"},
    "genetic_algorithm, children": {
        "kind": "genetic_algorithm",
        "survivors": "children",
        "crossover": "two_point",
        "selection": "truncation",
        "population": 16,
    },
    "genetic_algorithm, no crossover": {"kind": "genetic_algorithm", "crossover": "none", "selection": "ranking"},
    "cosyne, range": {"kind": "cosyne", "population": 16, "initial_range": [-1, 3], "batch": 4},
    "cma_es, separable": {"kind": "cma_es", "covariance": "separable", "population": 7},
    "cma_es, limited memory": {"kind": "cma_es", "covariance": "limited_memory", "growth": 1},
    "cma_es, batch": {"kind": "cma_es", "batch": 4, "bounds": [-3, 3]},
    "pycma, separable": {"kind": "pycma", "separable": True, "population": 7},
    "evotorch, batch": {"kind": "evotorch", "algorithm": "xnes", "batch": 4},
    "evotorch, pgpe": {"kind": "evotorch", "algorithm": "pgpe"},
    "evotorch, cem": {"kind": "evotorch", "algorithm": "cem"},
    "sgd, nesterov": {"kind": "sgd", "nesterov": True, "batch": 4, "clip": None},
    "rmsprop": {"kind": "rmsprop", "restarts": 2, "schedule": "step"},
    "adam": {"kind": "adam", "restarts": 2, "learning_rate": 0.05},
    "adamw": {"kind": "adamw", "learning_rate": 0.05, "schedule": {"shape": "cosine", "warm_up": 0.1}},
    "islands of one kind": {"kind": "islands", "trainer": {"kind": "snes", "population": 8}, "count": 3, "every": 1},
    "islands of several": {
        "kind": "islands",
        "trainer": [
            {"kind": "pycma", "population": 6, "batch": 4},
            {"kind": "genetic_algorithm", "population": 9, "batch": 4},
            {"kind": "simulated_annealing"},
        ],
        "every": 2,
    },
    "memetic of islands": {"kind": "memetic", "evolve": {"kind": "islands", "count": 2}, "refine": {"kind": "sgd"}},
    "memetic": {"kind": "memetic", "refine": {"kind": "adam", "learning_rate": 0.05}},
    "memetic, baldwinian": {
        "kind": "memetic",
        "lamarckian": False,
        "evolve": {"kind": "genetic_algorithm"},
        "elites": 0.1,
        "every": 3,
    },
    "memetic of snes and sgd": {"kind": "memetic", "evolve": {"kind": "snes"}, "refine": {"kind": "sgd", "batch": 2}},
    "memetic of cma_es and snes": {
        "kind": "memetic",
        "refine": {"kind": "snes", "population": 4, "sigma": 0.1},
        "every": 2,
        "updates": 3,
    },
    "memetic of guessing and pycma": {
        "kind": "memetic",
        "evolve": {"kind": "weight_guessing"},
        "refine": {"kind": "pycma", "population": 4, "sigma": 0.3},
    },
    "memetic of memetic": {"kind": "memetic", "evolve": {"kind": "memetic", "updates": 1}, "refine": {"kind": "sgd"}},
    "evolve_then_refine": {"kind": "evolve_then_refine", "refine": {"kind": "adam", "learning_rate": 0.05}},
    "evolve_then_refine, pycma and swarm": {
        "kind": "evolve_then_refine",
        "evolve": {"kind": "pycma", "population": 6},
        "refine": {"kind": "particle_swarm", "population": 6},
        "split": 0.3,
    },
    "gradient_then_evolve": {
        "kind": "gradient_then_evolve",
        "gradient": {"kind": "sgd", "batch": 4},
        "evolve": {"kind": "snes", "population": 8},
    },
    "gradient_injection": {"kind": "gradient_injection", "updates": 2, "every": 2},
    "evolino of cosyne": {"kind": "evolino", "evolve": {"kind": "cosyne", "batch": 4}},
    "evolino of memetic": {
        "kind": "evolino",
        "evolve": {"kind": "memetic", "evolve": {"kind": "pycma"}, "refine": {"kind": "adam", "learning_rate": 0.05}},
    },
    "memetic of evolino": {"kind": "memetic", "evolve": {"kind": "evolino", "evolve": {"kind": "snes"}}},
}
SPECS = contract_specs(VARIANTS, batch=4)
every = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
POPULATIONS = [name for name in TRAINERS if issubclass(TRAINERS[name], PopulationTrainer)]
FIRST_ORDER = [name for name in TRAINERS if issubclass(TRAINERS[name], FirstOrderTrainer)]
GUESSING = [name for name in TRAINERS if TRAINERS[name].family == "guessing"]
CHAINS = {"simulated_annealing"}  # members that don't learn from one another
SMALL = {
    "openai_es": {"sigma": 0.3, "learning_rate": 0.1},
    "xnes": {"sigma": 0.5},
}  # settings with which 12 generations of 10 get somewhere
