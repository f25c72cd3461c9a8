"""What trainers that live by whole populations share: the best genome so far, and losses that can always be ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.trainers.core.trainer import Oracle, State, Trainer

WORST = float(np.finfo(np.float32).max)  # no finite float32 loss is worse


class PopulationTrainer(Trainer):
    """Asks losses of whole populations and goes on with the genomes it gets back (see `Oracle.evaluate`).

    Its answer is the best genome ever seen when losses are taken on all data; with mini-batches, whose losses can't be
    compared over time, the best of the last generation.
    """

    family = "evolution"

    if TYPE_CHECKING:
        batch: int | None  # sequences per evaluation, None for all; each trainer declares it among its settings

    def best(self, state: State) -> Genome:
        """[n] see the class; the centre of the initial distribution while no loss was finite."""
        best: Genome = state["best"]
        return best

    def initial_best(self, oracle: Oracle) -> State:
        """The `best` [n] and `best_loss` of a state before the first generation."""
        return {"best": oracle.centre, "best_loss": np.array(np.inf, np.float32)}

    def update_best(self, state: State, genomes: Genomes, losses: Losses, batch: Batch | None) -> State:
        """The state's new `best` [n] and `best_loss` after a generation [P, n] with its losses [P] on a batch."""
        p = int(np.argmin(replace_non_finite(losses)))
        threshold = state["best_loss"] if batch is None else np.inf
        if np.isfinite(losses[p]) and losses[p] < threshold:
            return {"best": genomes[p].copy(), "best_loss": np.array(losses[p])}
        return {"best": state["best"], "best_loss": state["best_loss"]}


def replace_non_finite(losses: Losses) -> NDArray[np.float64]:
    """[P] the losses with NaN and ±inf turned into a finite number that none is worse than."""
    values = np.asarray(losses, np.float64)
    return np.where(np.isfinite(values), values, WORST)


def changed_rows(genomes: Genomes, new_genomes: Genomes) -> NDArray[np.int64]:
    """The rows of a population that the oracle changed. A row with a NaN always counts as changed."""
    return np.flatnonzero((genomes != new_genomes).any(axis=1)).astype(np.int64, copy=False)
