"""A live search of the library EvoTorch: asked from outside for its losses, and kept away from the global generator."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from evotorch import Problem, SolutionBatch

from evornn.arrays import Streams
from evornn.trainers.coordinates import Coordinates
from evornn.trainers.population import changed_rows, rankable
from evornn.trainers.replay import Answer


class EvoTorchSearch:
    """One generation is one step of `algorithm`, a search algorithm built on `question`."""

    def __init__(self, question: Question, algorithm: Any) -> None:
        self.question, self.algorithm = question, algorithm

    def generation(self, step: int, streams: Streams, answer: Answer) -> None:
        seed = streams.integer(step)
        with isolated(seed) as outside:
            self.question.manual_seed(seed)
            self.question.answer, self.question.outside = answer, outside
            self.advance(step)

    def advance(self, step: int) -> None:
        self.algorithm.step()

    def statistics(self) -> dict[str, float]:
        return {}


class Question(Problem):  # type: ignore[misc]  # the library has no types
    """A minimisation problem over normalised coordinates (float64) whose losses come from `answer`."""

    answer: Answer
    outside: int  # threads that torch has when the answer is computed

    def __init__(self, coordinates: Coordinates) -> None:
        logging.getLogger("evotorch").setLevel(logging.WARNING)  # it tells every problem's dtype on standard output
        options = {"dtype": torch.float64, "eval_dtype": torch.float64, "initial_bounds": (-1, 1), "seed": 0}
        super().__init__("min", solution_length=len(coordinates.centre), store_solution_stats=False, **options)
        self.coordinates = coordinates

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        if not batch.evals.isnan().any():
            return  # parents that keep their losses
        z = batch.access_values(keep_evals=True)
        asked = self.coordinates.genomes(z.numpy())
        with threads(self.outside):
            told, losses = self.answer(asked)
        rows = changed_rows(asked, told)
        z[rows] = torch.from_numpy(self.coordinates.z(told[rows]))  # improved genomes live on in the library
        batch.set_evals(torch.from_numpy(rankable(losses)))


@contextmanager
def isolated(seed: int) -> Iterator[int]:
    """The library draws from torch's global generator, and sums on all threads: here from a seed, on one thread, and
    afterwards all is what it was. Gives the number of threads there were."""
    with torch.random.fork_rng(devices=[]), threads(1) as outside:
        torch.default_generator.manual_seed(seed)
        yield outside


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Torch with so many threads; gives the number there were. Sums depend in their last bits on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
