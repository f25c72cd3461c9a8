"""Searches of the library EvoTorch: references for evornn's own, and choices like any other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import torch
from annotated_types import Ge, Gt
from evotorch import Problem, SolutionBatch, algorithms

from evornn.arrays import Streams
from evornn.settings import settings
from evornn.trainers.core.coordinates import Coordinates
from evornn.trainers.core.population import changed_rows, replace_non_finite
from evornn.trainers.core.replay import EvaluateFunction, ReplayTrainer
from evornn.trainers.core.trainer import Oracle

ALGORITHMS: dict[str, tuple[str, dict[str, Any]]] = {  # the library's class, and its required arguments
    "snes": ("SNES", {"stdev_max_change": 0.5}),  # without it a genome that a hybrid moved far makes sigma explode
    "xnes": ("XNES", {}),
    "pgpe": ("PGPE", {"center_learning_rate": 0.2, "stdev_learning_rate": 0.1}),
    "cem": ("CEM", {"parenthood_ratio": 0.5}),
}


@settings
class EvoTorch(ReplayTrainer):
    """SNES (Schaul et al. 2011), xNES (Glasmachers et al. 2010), PGPE (Sehnke et al. 2010) or the cross-entropy method
    (Rubinstein 1999) by the library EvoTorch, in coordinates in which the initial distribution is N(0, 1)."""

    algorithm: Literal["snes", "xnes", "pgpe", "cem"] = "snes"
    population: Annotated[int, Ge(4)] = 32
    sigma: Annotated[float, Gt(0)] = 1.0  # initial, in standard deviations of the initial distribution
    batch: Annotated[int, Ge(1)] | None = None

    def make_search(self, oracle: Oracle, streams: Streams) -> EvoTorchSearch:
        kind, further = ALGORITHMS[self.algorithm]
        start = torch.zeros(oracle.n, dtype=torch.float64)
        with fork_generator(0):
            problem = EvoTorchProblem(Coordinates.of(oracle))
            options = {"popsize": self.population, "center_init": start, "stdev_init": self.sigma, **further}
            return EvoTorchSearch(problem, getattr(algorithms, kind)(problem, **options))


class EvoTorchSearch:
    """A live search that gets its losses from outside and leaves torch's global generator alone.

    One generation is one step of the library's `algorithm`, which is built on `problem`.
    """

    def __init__(self, problem: EvoTorchProblem, algorithm: Any) -> None:
        self.problem, self.algorithm = problem, algorithm

    def advance(self, step: int, streams: Streams, evaluate: EvaluateFunction) -> None:
        seed = streams.integer(step)
        with fork_generator(seed) as num_threads:
            self.problem.manual_seed(seed)
            self.problem.evaluate_genomes, self.problem.outer_threads = evaluate, num_threads
            self.algorithm.step()

    def statistics(self) -> dict[str, float]:
        """sigma: the mean of the standard deviations, in units of the initial distribution's."""
        spread = self.algorithm.status.get("stdev")
        return {} if spread is None else {"sigma": cast(float, spread.mean().item())}


class EvoTorchProblem(Problem):  # type: ignore[misc]  # the library has no types
    """A minimisation problem over normalised coordinates (float64) whose losses come from `evaluate_genomes`."""

    evaluate_genomes: EvaluateFunction
    outer_threads: int  # torch's threads while an answer is computed

    def __init__(self, coordinates: Coordinates) -> None:
        logging.getLogger("evotorch").setLevel(logging.WARNING)  # it prints the dtype of every problem
        options = {"dtype": torch.float64, "eval_dtype": torch.float64, "initial_bounds": (-1, 1), "seed": 0}
        super().__init__("min", solution_length=len(coordinates.centre), store_solution_stats=False, **options)
        self.coordinates = coordinates

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        if not batch.evals.isnan().any():
            return  # parents that keep their losses
        z = batch.access_values(keep_evals=True)
        genomes = self.coordinates.genomes(z.numpy())
        with torch_threads(self.outer_threads):
            new_genomes, losses = self.evaluate_genomes(genomes)
        rows = changed_rows(genomes, new_genomes)
        z[rows] = torch.from_numpy(self.coordinates.z(new_genomes[rows]))  # the library continues with improved ones
        batch.set_evals(torch.from_numpy(replace_non_finite(losses)))


@contextmanager
def fork_generator(seed: int) -> Iterator[int]:
    """Seed torch's global generator and set one thread, and restore both afterwards.

    The library draws from the global generator and sums on all threads. Yields the number of threads outside.
    """
    with torch.random.fork_rng(devices=[]), torch_threads(1) as num_threads:
        torch.default_generator.manual_seed(seed)
        yield num_threads


@contextmanager
def torch_threads(count: int) -> Iterator[int]:
    """Set torch's number of threads, on which the last bits of sums depend. Yields the number before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
