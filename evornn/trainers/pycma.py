"""CMA-ES by pycma, the library of its author: the reference that `cma_es` is tested against."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import cma
import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.memory import check_memory
from evornn.settings import settings
from evornn.trainers.core.algebra import SingleThreadedBlas
from evornn.trainers.core.coordinates import Coordinates
from evornn.trainers.core.population import changed_rows, replace_non_finite
from evornn.trainers.core.replay import EvaluateFunction, ReplayTrainer
from evornn.trainers.core.trainer import Oracle

MATRICES = 9  # n × n float64 matrices at pycma's peak (8.5 measured at n = 1,500): C, B, temporaries, work of eigh
SMALLEST, LARGEST = 1e-9, 1e9  # standard deviations, in units of the initial one, beyond which a search restarts


@settings
class PyCMA(ReplayTrainer):
    """CMA-ES with active weights (Hansen 2016, "The CMA evolution strategy: a tutorial"), full or separable (Ros &
    Hansen 2008), in coordinates in which the initial distribution is N(0, 1).

    Only the budget ends a run: the library's stop criteria are ignored, and a search whose distribution has shrunk to
    nothing, grown beyond all bounds or become singular restarts from the centre, with the random numbers of its step.
    Losses that are not finite rank last; after a generation without any finite loss the distribution moves at random.
    Genomes that a hybrid improved are injected: the library shortens their step to the length usual for its
    distribution (Hansen 2011, "Injecting external solutions").
    """

    memory_hint = "set separable: true, or use a smaller network"

    population: Annotated[int, Ge(2)] | None = None  # None: 4 + ⌊3 ln n⌋
    sigma: Annotated[float, Gt(0)] = 1.0  # initial step, in standard deviations of the initial distribution
    separable: bool = False  # a diagonal covariance: O(n) memory and time instead of O(n²)
    batch: Annotated[int, Ge(1)] | None = None

    def make_search(self, oracle: Oracle, streams: Streams) -> CMASearch:
        return CMASearch(Coordinates.of(oracle), self.population, self.sigma, self.separable)

    def covariance_bytes(self, parameters: int) -> int:
        return 0 if self.separable else MATRICES * 8 * parameters**2

    def check(self, parameters: int, sequences: int) -> None:
        """Raises EvornnError if there is only one parameter, or if the full covariance doesn't fit into memory."""
        if parameters < 2:
            raise EvornnError("pycma: needs a network of at least 2 parameters, this one has 1; use cma_es")
        what = f"pycma: the full covariance of {parameters:,} parameters"
        check_memory(what, self.covariance_bytes(parameters), self.memory_hint)


class CMASearch:
    """A live pycma search in normalised coordinates."""

    def __init__(self, coordinates: Coordinates, population: int | None, sigma: float, separable: bool) -> None:
        self.coordinates, self.sigma = coordinates, sigma
        self.options = {"CMA_diagonal": separable, "seed": np.nan, "randn": self._randn, "verbose": -9, "verb_log": 0}
        if population is not None:
            self.options["popsize"] = population
        self.restart()

    def restart(self) -> None:
        """Replace the library's search by a new one from the centre."""
        self.library: Any = cma.CMAEvolutionStrategy(np.zeros(len(self.coordinates.centre)), self.sigma, self.options)

    def advance(self, step: int, streams: Streams, evaluate: EvaluateFunction) -> None:
        self.random = streams.at(step)
        points = self._ask()
        genomes = self.coordinates.genomes(np.array(points))
        new_genomes, losses = evaluate(genomes)
        for row in changed_rows(genomes, new_genomes):
            points[row] = self.coordinates.z(new_genomes[row])
        self._tell(points, replace_non_finite(losses))

    def statistics(self) -> dict[str, float]:
        """sigma, the overall step size, and condition_number of the covariance."""
        return {"sigma": float(self.library.sigma), "condition_number": float(self.library.condition_number)}

    def _ask(self) -> list[NDArray[np.float64]]:
        with _suppress_warnings():
            try:
                return list(self.library.ask())
            except (ArithmeticError, RuntimeError, ValueError):  # LinAlgError is a ValueError
                self.restart()
                return list(self.library.ask())

    def _tell(self, points: list[NDArray[np.float64]], losses: NDArray[np.float64]) -> None:
        with _suppress_warnings():
            try:
                self.library.tell(points, losses.tolist())
                widest = float(np.max(self.library.stds))
            except (ArithmeticError, RuntimeError, ValueError):
                widest = np.nan
            if not SMALLEST < widest < LARGEST:
                self.restart()

    def _randn(self, *shape: int) -> NDArray[np.float64]:
        return self.random.standard_normal(shape)


@contextmanager
def _suppress_warnings() -> Iterator[None]:
    """A context with one BLAS thread and without the library's warning about solutions that a hybrid has changed."""
    from cma.evolution_strategy import InjectionWarning

    with SingleThreadedBlas(), warnings.catch_warnings():
        warnings.simplefilter("ignore", InjectionWarning)
        yield
