"""What gradient trainers share: P restarts at once, clipping, and which restart is the best."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Genome, Genomes, Losses, Streams
from evornn.trainers.trainer import Oracle, State, Trainer

Moments: TypeAlias = dict[str, Floats]
"""Running averages of gradients by name, each [P, n] float32 like the genomes."""

SMOOTHING = 0.9  # of the losses by which restarts are ranked: about the last ten updates count


class GradientTrainer(Trainer):
    """First-order gradient descent on mini-batches from `restarts` genomes of the initial distribution, side by side.

    Its answer is the restart with the lowest smoothed loss; the candidates are all of them. A restart whose loss or
    gradient is not finite is not moved by that update; one whose loss ever was not finite ranks last from then on.
    In a hybrid the genomes to refine take the place of the restarts.
    """

    family = "gradient"
    needs_gradient = True
    moments: ClassVar[tuple[str, ...]]  # names of the running averages, which all start from 0

    if TYPE_CHECKING:  # each trainer declares these among its settings
        batch: int | None  # sequences per update, None for all
        clip: float | None  # largest norm of a member's gradient, None for no limit
        restarts: int

    @abstractmethod
    def update(self, gradients: Genomes, moments: Moments, k: int) -> tuple[Genomes, Moments]:
        """What to add to the genomes [P, n] in the k-th update, k = 1, 2, …, and the new moments."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        genomes = oracle.sample(self.restarts, streams.at(0))
        moments = {name: np.zeros_like(genomes) for name in self.moments}
        none = {"smoothed": np.zeros(len(genomes)), "gradient_norm": np.array(np.nan)}
        return {"step": 0, "genomes": genomes, "centre": oracle.centre, "moments": moments, **none}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        k = state["step"]
        losses, gradients = oracle.gradients(state["genomes"], oracle.batch(k, self.batch))
        with np.errstate(all="ignore"):
            norms = np.sqrt(np.square(gradients, dtype=np.float64).sum(axis=1))
            sound = np.isfinite(losses) & np.isfinite(norms)
            genomes, moments = self._moved(state, clipped(gradients, norms, sound, self.clip), sound)
            smoothed = smooth(state["smoothed"], losses)
        norm = np.median(norms[sound]) if sound.any() else np.nan
        news = {"genomes": genomes, "moments": moments, "smoothed": smoothed, "gradient_norm": np.array(norm)}
        return {"step": k + 1, "centre": state["centre"], **news}

    def _moved(self, state: State, gradients: Genomes, sound: NDArray[np.bool_]) -> tuple[Genomes, Moments]:
        old: Moments = state["moments"]
        delta, new = self.update(gradients, old, state["step"] + 1)
        kept = {name: np.where(sound[:, None], new[name], old[name]) for name in self.moments}
        return np.where(sound[:, None], state["genomes"] + delta, state["genomes"]), kept

    def best(self, state: State) -> Genome:
        chosen: Genome = state["genomes"][np.argmin(state["smoothed"])] if state["step"] else state["centre"]
        return chosen

    def candidates(self, state: State) -> Genomes:
        genomes: Genomes = state["genomes"]
        return genomes

    def statistics(self, state: State) -> dict[str, float]:
        """gradient_norm: median over the restarts, before clipping; absent where none was finite."""
        norm = float(state["gradient_norm"])
        return {"gradient_norm": norm} if np.isfinite(norm) else {}


def clipped(gradients: Genomes, norms: NDArray[np.float64], sound: NDArray[np.bool_], limit: float | None) -> Genomes:
    """[P, n] gradients no longer than the limit (Pascanu et al. 2013), counted as in `torch.nn.utils.clip_grad_norm_`;
    0 where a member is not sound."""
    factor = np.ones_like(norms) if limit is None else np.minimum(limit / (norms + 1e-6), 1)
    shortened = gradients * factor[:, None].astype(np.float32)
    return np.where(sound[:, None], shortened, np.float32(0))


def smooth(smoothed: NDArray[np.float64], losses: Losses) -> NDArray[np.float64]:
    """[P] exponential moving average of losses, float64; infinite for good where a loss was not finite.

    It starts from 0, so after k updates it is low by 1 − SMOOTHING^k (Kingma & Ba 2015, §3). All members share this
    factor, and only their order counts: there is no need to divide by it.
    """
    return SMOOTHING * smoothed + (1 - SMOOTHING) * np.where(np.isfinite(losses), losses, np.inf)
