"""One generation of ours, pycma, EvoTorch and evosax, all in the same form: a call that asks an objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Streams
from evornn.trainers import TRAINERS

Points = NDArray[Any]  # [P, n]
Objective = Callable[[Points], NDArray[Any]]  # → losses [P]
Generation = Callable[[], None]

# Our kinds, with settings, and the libraries' classes that do the same, with their own defaults.
OURS = {
    "cma_es": {"kind": "cma_es"},
    "cma_es by adaptation": {"kind": "cma_es"},  # the same: above 100 parameters it is that
    "cma_es separable": {"kind": "cma_es", "covariance": "separable"},
    "cma_es limited": {"kind": "cma_es", "covariance": "limited_memory"},
    "xnes": {"kind": "xnes"},
    "snes": {"kind": "snes"},
    "pgpe": {"kind": "pgpe"},
    "openai_es": {"kind": "openai_es"},
    "cross_entropy_method": {"kind": "cross_entropy_method"},
    "genetic_algorithm": {"kind": "genetic_algorithm"},
    "differential_evolution": {"kind": "differential_evolution"},
    "particle_swarm": {"kind": "particle_swarm"},
    "simulated_annealing": {"kind": "simulated_annealing"},
    "cosyne": {"kind": "cosyne"},
}
PYCMA = {"cma_es": {}, "cma_es separable": {"CMA_diagonal": True}}
EVOTORCH = {
    "cma_es": ("CMAES", {"stdev_init": 1.0}),
    "cma_es separable": ("CMAES", {"stdev_init": 1.0, "separable": True}),
    "xnes": ("XNES", {"stdev_init": 1.0}),
    "snes": ("SNES", {"stdev_init": 1.0}),
    "pgpe": ("PGPE", {"stdev_init": 1.0, "center_learning_rate": 0.5, "stdev_learning_rate": 0.1}),
    "cross_entropy_method": ("CEM", {"stdev_init": 1.0, "parenthood_ratio": 0.25}),
    "genetic_algorithm": ("GeneticAlgorithm", {}),
}
EVOSAX = {
    "cma_es": "CMA_ES",
    "cma_es by adaptation": "MA_ES",
    "cma_es separable": "Sep_CMA_ES",
    "cma_es limited": "LM_MA_ES",
    "xnes": "xNES",
    "snes": "SNES",
    "pgpe": "PGPE",
    "openai_es": "Open_ES",
    "genetic_algorithm": "SimpleGA",
    "differential_evolution": "DifferentialEvolution",
    "particle_swarm": "PSO",
    "simulated_annealing": "SimulatedAnnealing",
}


class _ObjectiveOracle:
    """An objective as an oracle with an initial distribution N(0, 1) and no end of budget."""

    elapsed = 0.0

    def __init__(self, objective: Objective, n: int) -> None:
        self.objective, self.n = objective, n
        self.centre, self.scale = np.zeros(n, np.float32), np.ones(n, np.float32)

    def sample(self, count: int, rng: np.random.Generator) -> Points:
        return rng.standard_normal((count, self.n), np.float32)

    def batch(self, k: int, size: int | None) -> None:
        return None

    def evaluate(self, genomes: Points, batch: None = None) -> tuple[Points, NDArray[Any]]:
        return genomes, self.objective(genomes).astype(np.float32)


def ours(algorithm: str, objective: Objective, n: int, population: int | None, seed: int) -> Generation:
    size = {} if population is None else {"population": population}
    trainer: Any = TRAINERS.build({**OURS[algorithm], **size})
    oracle, streams = _ObjectiveOracle(objective, n), Streams(seed)
    state = [trainer.start(oracle, streams)]

    def generation() -> None:
        state[0] = trainer.step(state[0], oracle, streams)

    return generation


def pycma(algorithm: str, objective: Objective, n: int, population: int | None, seed: int) -> Generation | None:
    """With restarts of twice the population from a random point, as soon as the library would stop (IPOP)."""
    if algorithm not in PYCMA:
        return None
    import cma

    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {**PYCMA[algorithm], "verbose": -9, "verb_log": 0}
    options |= {"seed": np.nan, "randn": lambda *shape: rng.standard_normal(shape)}
    options |= {} if population is None else {"popsize": population}
    search = [cma.CMAEvolutionStrategy(np.zeros(n), 1.0, options)]

    def generation() -> None:
        points = search[0].ask()
        search[0].tell(points, objective(np.array(points)).tolist())
        if population is None and search[0].stop():
            larger = {**options, "popsize": 2 * search[0].popsize}
            search[0] = cma.CMAEvolutionStrategy(rng.standard_normal(n), 1.0, larger)

    return generation


def evotorch(algorithm: str, objective: Objective, n: int, population: int | None, seed: int) -> Generation | None:
    if algorithm not in EVOTORCH:
        return None
    import logging

    import torch
    from evotorch import Problem, SolutionBatch, algorithms, operators

    logging.getLogger("evotorch").setLevel(logging.WARNING)

    class ObjectiveProblem(Problem):  # type: ignore[misc]  # the library has no types
        def _evaluate_batch(self, batch: SolutionBatch) -> None:
            batch.set_evals(torch.from_numpy(np.asarray(objective(batch.values.numpy()), np.float64)))

    dtypes = {"dtype": torch.float64, "eval_dtype": torch.float64, "seed": seed}
    problem = ObjectiveProblem("min", solution_length=n, initial_bounds=(-1, 1), store_solution_stats=False, **dtypes)
    name, settings = EVOTORCH[algorithm]
    settings = {**settings, "popsize": population} if population or name != "CMAES" else settings
    if name == "GeneticAlgorithm":
        crossover = operators.SimulatedBinaryCrossOver(problem, tournament_size=4, eta=8.0)
        settings["operators"] = [crossover, operators.GaussianMutation(problem, stdev=0.1)]
        settings["re_evaluate"] = False
    else:
        settings["center_init"] = torch.zeros(n, dtype=torch.float64)
    algorithm_ = getattr(algorithms, name)(problem, **settings)
    return lambda: algorithm_.step()


def evosax(algorithm: str, objective: Objective, n: int, population: int | None, seed: int) -> Generation | None:
    """Its ask and tell, compiled, in single precision."""
    if algorithm not in EVOSAX:
        return None
    import evosax.algorithms
    import jax

    size = population or 4 + int(3 * np.log(n))
    kind = getattr(evosax.algorithms, EVOSAX[algorithm])
    search, key = kind(population_size=size, solution=np.zeros(n, np.float32)), jax.random.key(seed)
    params = search.default_params
    if hasattr(search, "population_init") or "population_based" in kind.__module__:
        first = np.random.default_rng(seed).standard_normal((size, n)).astype(np.float32)
        state = [search.init(key, first, objective(first).astype(np.float32), params), 0]
    else:
        state = [search.init(key, np.zeros(n, np.float32), params), 0]

    def generation() -> None:
        asking, telling = jax.random.split(jax.random.fold_in(key, state[1]))
        points, asked = search.ask(asking, state[0], params)
        losses = objective(np.asarray(points)).astype(np.float32)
        told, _ = search.tell(telling, points, losses, asked, params)
        jax.block_until_ready(told)
        state[:] = [told, state[1] + 1]

    return generation


PEERS = {"ours": ours, "pycma": pycma, "evotorch": evotorch, "evosax": evosax}
