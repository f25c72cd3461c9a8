"""Searches by the library EvoTorch, on whole populations as tensors: references for ours, and a choice of their own."""

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

ALGORITHMS: dict[str, tuple[str, dict[str, Any]]] = {  # the library's class, and what it insists on
    "snes": ("SNES", {"stdev_max_change": 0.5}),  # a genome that a hybrid moved far would make it explode
    "xnes": ("XNES", {}),
    "pgpe": ("PGPE", {"center_learning_rate": 0.2, "stdev_learning_rate": 0.1}),
    "cem": ("CEM", {"parenthood_ratio": 0.5}),
}


@settings
class EvoTorch(ReplayTrainer):
    """SNES (Schaul et al. 2011), xNES (Glasmachers et al. 2010), PGPE (Sehnke et al. 2010) or the cross-entropy method
    (Rubinstein 1999) as EvoTorch has them, in coordinates in which the initial distribution is N(0, 1)."""

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
    """A live search, asked from outside for its losses and kept away from the global generator: one generation is one
    step of `algorithm`, which is built on `question`."""

    def __init__(self, problem: EvoTorchProblem, algorithm: Any) -> None:
        self.problem, self.algorithm = problem, algorithm

    def advance(self, step: int, streams: Streams, evaluate: EvaluateFunction) -> None:
        seed = streams.integer(step)
        with fork_generator(seed) as num_threads:
            self.problem.manual_seed(seed)
            self.problem.evaluate_genomes, self.problem.outer_threads = evaluate, num_threads
            self.algorithm.step()

    def statistics(self) -> dict[str, float]:
        """sigma is the mean of the standard deviations, in units of the initial distribution's."""
        spread = self.algorithm.status.get("stdev")
        return {} if spread is None else {"sigma": cast(float, spread.mean().item())}


class EvoTorchProblem(Problem):  # type: ignore[misc]  # the library has no types
    """A minimisation problem over normalised coordinates (float64) whose losses come from `answer`."""

    evaluate_genomes: EvaluateFunction
    outer_threads: int  # threads that torch has when the answer is computed

    def __init__(self, coordinates: Coordinates) -> None:
        logging.getLogger("evotorch").setLevel(logging.WARNING)  # it tells every problem's dtype on standard output
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
        z[rows] = torch.from_numpy(self.coordinates.z(new_genomes[rows]))  # improved genomes live on in the library
        batch.set_evals(torch.from_numpy(replace_non_finite(losses)))


@contextmanager
def fork_generator(seed: int) -> Iterator[int]:
    """The library draws from torch's global generator, and sums on all threads: here from a seed, on one thread, and
    afterwards all is what it was. Gives the number of threads there were."""
    with torch.random.fork_rng(devices=[]), torch_threads(1) as num_threads:
        torch.default_generator.manual_seed(seed)
        yield num_threads


@contextmanager
def torch_threads(count: int) -> Iterator[int]:
    """Torch with so many threads; gives the number there were. Sums depend in their last bits on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
