"""What population trainers share: the best genome so far, and losses that can always be ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Batch, Genome, Genomes, Losses
from evornn.trainers.core.trainer import Oracle, State, Trainer

WORST = float(np.finfo(np.float32).max)  # no finite float32 loss is worse


class PopulationTrainer(Trainer):
    """A trainer that evaluates whole populations and continues with the genomes it gets back (see `Oracle.evaluate`).

    Its answer is the best genome ever evaluated if losses are on all data; with mini-batches, whose losses are not
    comparable over time, the best of the last generation.
    """

    family = "evolution"

    if TYPE_CHECKING:
        batch: int | None  # sequences per evaluation, None for all; a setting that each trainer declares

    def best(self, state: State) -> Genome:
        """[n] the best genome; the centre of the initial distribution until a loss is finite."""
        best: Genome = state["best"]
        return best

    def initial_best(self, oracle: Oracle) -> State:
        """The entries `best` [n] and `best_loss` of a state before the first generation."""
        return {"best": oracle.centre, "best_loss": np.array(np.inf, np.float32)}

    def update_best(self, state: State, genomes: Genomes, losses: Losses, batch: Batch | None) -> State:
        """Update the best genome after a generation.

        Args:
            state: The state before, with `best` [n] and `best_loss`.
            genomes: [P, n] the generation, as the oracle returned it.
            losses: [P].
            batch: The mini-batch of the losses; None: all data.

        Returns:
            The entries `best` [n] and `best_loss` of the next state.
        """
        p = int(np.argmin(replace_non_finite(losses)))
        threshold = state["best_loss"] if batch is None else np.inf
        if np.isfinite(losses[p]) and losses[p] < threshold:
            return {"best": genomes[p].copy(), "best_loss": np.array(losses[p])}
        return {"best": state["best"], "best_loss": state["best_loss"]}


def replace_non_finite(losses: Losses) -> NDArray[np.float64]:
    """[P] the losses in float64, with NaN and ±inf replaced by WORST, which no finite loss exceeds."""
    values = np.asarray(losses, np.float64)
    return np.where(np.isfinite(values), values, WORST)


def changed_rows(genomes: Genomes, new_genomes: Genomes) -> NDArray[np.int64]:
    """Rows of a population [P, n] that the oracle changed; one with a NaN counts as changed."""
    return np.flatnonzero((genomes != new_genomes).any(axis=1)).astype(np.int64, copy=False)
