"""L-BFGS: a quasi-Newton method on all data."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from evornn.arrays import Floats, Genomes, Losses, Streams
from evornn.settings import settings
from evornn.trainers.core.gradient import GradientTrainer, MemberMask, median
from evornn.trainers.core.trainer import Oracle, State

ARMIJO = 1e-4  # share of the decrease predicted by the slope that a step must achieve
MIN_CURVATURE = 1e-10  # smallest yᵀs of a pair that is stored, as in `torch.optim.LBFGS`


@settings
class LBFGS(GradientTrainer):
    """L-BFGS (Liu & Nocedal 1989) with a backtracking line search (Armijo 1966), separately for each restart.

    One update is one gradient. It either ends a line search and starts another in a new direction, or halves the step
    of a search that went too far. As long as no step is halved, this is `torch.optim.LBFGS` with one iteration per
    call. The answer is the best point at which a line search has ended. Leave `batch` at None: with mini-batches the
    loss would change between two gradients that are compared.
    """

    stored_populations = 4

    learning_rate: Annotated[float, Gt(0)] = 1.0  # first step of a line search, in Newton steps
    batch: Annotated[int, Ge(1)] | None = None
    history: Annotated[int, Ge(1)] = 10  # stored pairs of steps and changes of the gradient

    def start(self, oracle: Oracle, streams: Streams) -> State:
        state = super().start(oracle, streams)
        genomes = state["genomes"]
        P, n = genomes.shape
        pairs, still = np.zeros((P, self.history, n), np.float32), np.zeros_like(genomes)
        search = {"from": genomes, "loss": np.full(P, np.inf, np.float32), "gradient": still, "direction": still}
        return {**state, "search": {**search, "length": np.zeros(P, np.float32), "s": pairs, "y": pairs}}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        rate = self.rate(oracle)
        losses, gradients, norms, finite = self.batch_gradients(state, oracle)
        gradients = np.where(finite[:, None], gradients, np.float32(0))
        with np.errstate(all="ignore"):
            search = self._line_search(state["search"], state["genomes"], losses, gradients, finite, rate)
            genomes = search["from"] + search["length"][:, None] * search["direction"]
        values = {"smoothed": search["loss"].astype(np.float64), "gradient_norm": median(norms, finite)}
        return {**state, "step": state["step"] + 1, "genomes": genomes, "search": search, **values}

    def candidates(self, state: State) -> Genomes:
        """[P, n] the points at which the line searches last ended, not their current trials."""
        genomes: Genomes = state["search"]["from"]
        return genomes

    def _line_search(
        self, old: State, genomes: Genomes, losses: Losses, gradients: Genomes, finite: MemberMask, rate: float
    ) -> State:
        """The line searches after a gradient at their trial points: those that end start again, the others halve their
        step."""
        # Sufficient decrease (Armijo 1966). The first gradient always ends a search, since the loss before is infinite.
        slope = np.einsum("pn,pn->p", old["gradient"], old["direction"])
        ends = finite & (losses <= old["loss"] + ARMIJO * old["length"] * slope)
        first, row = ~np.isfinite(old["loss"]), ends[:, None]
        # A new search follows the quasi-Newton direction with a step of 1; the first one follows the gradient.
        s, y = _update_pairs(old, genomes, gradients, ends & ~first)
        direction = np.where(row, -two_loop_recursion(gradients, s, y), old["direction"])
        length = np.where(ends, np.where(first, _first_length(gradients), 1) * np.float32(rate), old["length"] / 2)
        return {
            "from": np.where(row, genomes, old["from"]),
            "loss": np.where(ends, losses, old["loss"]),
            "gradient": np.where(row, gradients, old["gradient"]),
            "direction": direction,
            "length": length.astype(np.float32),
            "s": s,
            "y": y,
        }


def _first_length(gradients: Genomes) -> Floats:
    """[P] such that the first step, along the gradient, has at most length 1 in the 1-norm."""
    size = np.maximum(np.abs(gradients).sum(axis=1), np.float32(1e-30))
    return np.asarray(np.minimum(1, 1 / size), np.float32)


def _update_pairs(old: State, genomes: Genomes, gradients: Genomes, ends: MemberMask) -> tuple[Floats, Floats]:
    """[P, history, n] steps and changes of the gradient, newest last, 0 where there are none yet."""
    s, y = genomes - old["from"], gradients - old["gradient"]
    new = ends & (np.einsum("pn,pn->p", s, y) > MIN_CURVATURE)

    def shift(pairs: Floats, newest: Floats) -> Floats:
        return np.where(new[:, None, None], np.concatenate([pairs[:, 1:], newest[:, None]], axis=1), pairs)

    return shift(old["s"], s), shift(old["y"], y)


def two_loop_recursion(gradients: Genomes, s: Floats, y: Floats) -> Genomes:
    """The inverse Hessian that the stored pairs imply, times the gradients (Nocedal & Wright 2006, algorithm 7.4).

    Args:
        gradients: [P, n].
        s: [P, history, n] steps, newest last, 0 where there are none yet.
        y: [P, history, n] changes of the gradient over these steps.

    Returns:
        [P, n] the product; its negative is the direction of the next line search.
    """
    curvature = np.einsum("phn,phn->ph", s, y)
    known = curvature > 0
    rho = np.where(known, 1 / np.where(known, curvature, 1), 0).astype(np.float32)
    # First loop: newest to oldest pair.
    q, alphas = gradients, {}
    for h in reversed(range(s.shape[1])):
        alphas[h] = (rho[:, h] * np.einsum("pn,pn->p", s[:, h], q))[:, None]
        q = q - alphas[h] * y[:, h]
    # Initial Hessian: sᵀy / yᵀy of the newest pair (eq. 7.20), 1 without any.
    newest = np.einsum("pn,pn->p", y[:, -1], y[:, -1])
    q = q * np.where(known[:, -1], curvature[:, -1] / np.where(known[:, -1], newest, 1), 1)[:, None].astype(np.float32)
    # Second loop: oldest to newest pair.
    for h in range(s.shape[1]):
        beta = (rho[:, h] * np.einsum("pn,pn->p", y[:, h], q))[:, None]
        q = q + (alphas[h] - beta) * s[:, h]
    return q
