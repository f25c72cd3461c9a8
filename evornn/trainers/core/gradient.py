"""What gradient trainers share: P restarts at once, clipping, and which restart is the best."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from evornn.arrays import Floats, Genome, Genomes, Losses, Streams
from evornn.settings import settings
from evornn.trainers.core.query import Window
from evornn.trainers.core.schedule import Schedule, ScheduleSetting
from evornn.trainers.core.trainer import Oracle, State, Trainer

Moments: TypeAlias = dict[str, Floats]
"""Running averages of gradients by name, each [P, n] float32 like the genomes."""

Norms: TypeAlias = NDArray[np.float64]  # [P]
MemberMask: TypeAlias = NDArray[np.bool_]  # [P]
SEQUENCE_START: State = {"batch": 0, "begin": 0, "carry": None}  # of updates within sequences: which batch, which step
SMOOTHING = 0.9  # of the losses by which restarts are ranked: about the last ten updates count


@settings
class GradientTrainer(Trainer):
    """Descends from `restarts` genomes of the initial distribution, side by side.

    Its answer is the restart with the lowest smoothed loss; the candidates are all of them. In a hybrid the genomes to
    refine take the place of the restarts.
    """

    family = "gradient"
    needs_gradient = True

    learning_rate: Annotated[float, Gt(0)] = 0.01
    schedule: ScheduleSetting = Schedule()  # of the learning rate over the budget
    batch: Annotated[int, Ge(1)] | None = 32  # sequences per update, None for all
    restarts: Annotated[int, Ge(1)] = 1

    def start(self, oracle: Oracle, streams: Streams) -> State:
        genomes = oracle.sample(self.restarts, streams.at(0))
        none = {"smoothed": np.zeros(len(genomes)), "gradient_norm": np.array(np.nan)}
        return {"step": 0, "genomes": genomes, "centre": oracle.centre, **none}

    def best(self, state: State) -> Genome:
        chosen: Genome = self.candidates(state)[np.argmin(state["smoothed"])] if state["step"] else state["centre"]
        return chosen

    def candidates(self, state: State) -> Genomes:
        genomes: Genomes = state["genomes"]
        return genomes

    def statistics(self, state: State) -> dict[str, float]:
        """gradient_norm: median over the restarts, before clipping; absent where none was finite."""
        norm = float(state["gradient_norm"])
        return {"gradient_norm": norm} if np.isfinite(norm) else {}

    def batch_gradients(self, state: State, oracle: Oracle) -> tuple[Losses, Genomes, Norms, MemberMask]:
        """Losses [P], gradients [P, n], their norms [P], and who has a finite loss and gradient [P]."""
        return with_norms(*oracle.gradients(state["genomes"], oracle.batch(state["step"], self.batch)))

    def rate(self, oracle: Oracle) -> float:
        """The learning rate at this place in the budget."""
        return self.learning_rate * self.schedule.at(oracle.elapsed)


@settings
class FirstOrderTrainer(GradientTrainer):
    """Gradient descent on mini-batches. A restart whose loss or gradient is not finite is not moved by that update; one
    whose loss ever was not finite ranks last from then on."""

    moments: ClassVar[tuple[str, ...]]  # names of the running averages, which all start from 0
    exact: ClassVar[bool] = False  # whether gradients reach back beyond the window of an update

    clip: Annotated[float, Gt(0)] | None = 1.0  # largest norm of a member's gradient, None for no limit

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Time steps per update, None for whole sequences."""

    @abstractmethod
    def update(
        self, genomes: Genomes, gradients: Genomes, moments: Moments, k: int, rate: float
    ) -> tuple[Genomes, Moments]:
        """What to add to the genomes [P, n] in the k-th update, k = 1, 2, …, and the new moments."""

    def start(self, oracle: Oracle, streams: Streams) -> State:
        state = super().start(oracle, streams)
        moments = {name: np.zeros_like(state["genomes"]) for name in self.moments}
        return {**state, "moments": moments, **({} if self.length is None else {"place": SEQUENCE_START})}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        rate = self.rate(oracle)
        (losses, gradients, norms, finite), place = self._next_gradients(state, oracle)
        with np.errstate(all="ignore"):
            genomes, moments = self._apply_update(state, clip_gradients(gradients, norms, self.clip), finite, rate)
            smoothed = smooth(state["smoothed"], losses)
        news = {"genomes": genomes, "moments": moments, "smoothed": smoothed, "gradient_norm": median(norms, finite)}
        return {**state, "step": state["step"] + 1, **news, **place}

    def _next_gradients(self, state: State, oracle: Oracle) -> tuple[tuple[Losses, Genomes, Norms, MemberMask], State]:
        """What is known of the members, and where in the sequences the next update begins."""
        if self.length is None:
            return self.batch_gradients(state, oracle), {}
        at, batch = state["place"], oracle.batch(state["place"]["batch"], self.batch)
        window = oracle.window(state["genomes"], Window(at["begin"], self.length, self.exact, at["carry"]), batch)
        over = {"batch": at["batch"] + 1, "begin": 0, "carry": None}
        place = over if window.end is None else {**at, "begin": window.end, "carry": window.carry}
        return with_norms(window.losses, window.gradients), {"place": place}

    def _apply_update(
        self, state: State, gradients: Genomes, finite: MemberMask, rate: float
    ) -> tuple[Genomes, Moments]:
        """Genomes and moments after an update, of those who are sound."""
        old: Moments = state["moments"]
        delta, new = self.update(state["genomes"], gradients, old, state["step"] + 1, rate)
        rows = finite[:, None]
        kept = {name: np.where(rows, new[name], old[name]) for name in self.moments}
        return np.where(rows, state["genomes"] + delta, state["genomes"]), kept


@settings
class BackpropagatingTrainer(FirstOrderTrainer):
    """By backpropagation through time. With `truncate` it is truncated (Williams & Peng 1990): a batch is gone through
    in windows of so many time steps, an update after each; the networks' states are carried over from window to window,
    but no gradient is. A new batch begins from the usual start."""

    truncate: Annotated[int, Ge(1)] | None = None  # time steps per update, None for whole sequences

    @property
    def length(self) -> int | None:
        return self.truncate


def with_norms(losses: Losses, gradients: Genomes) -> tuple[Losses, Genomes, Norms, MemberMask]:
    """Losses [P], gradients [P, n], their norms [P], and who has a finite loss and gradient [P]."""
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.square(gradients, dtype=np.float64).sum(axis=1))
    return losses, gradients, norms, np.isfinite(losses) & np.isfinite(norms)


def median(norms: Norms, finite: MemberMask) -> NDArray[np.float64]:
    """Of the sound members' norms; NaN where there is none. numpy's own takes longer than a small network's update."""
    ordered = np.sort(norms[finite])
    middle = len(ordered) // 2
    return np.array((ordered[~middle] + ordered[middle]) / 2 if len(ordered) else np.nan)


def clip_gradients(gradients: Genomes, norms: Norms, limit: float | None) -> Genomes:
    """[P, n] no longer than the limit (Pascanu et al. 2013), counted as in `torch.nn.utils.clip_grad_norm_`."""
    if limit is None:
        return gradients
    return gradients * np.minimum(limit / (norms + 1e-6), 1)[:, None].astype(np.float32)


def smooth(smoothed: NDArray[np.float64], losses: Losses) -> NDArray[np.float64]:
    """[P] exponential moving average of losses, float64; infinite for good where a loss was not finite.

    It starts from 0, so after k updates it is low by 1 − SMOOTHING^k (Kingma & Ba 2015, §3). All members share this
    factor, and only their order counts: there is no need to divide by it.
    """
    return SMOOTHING * smoothed + (1 - SMOOTHING) * np.where(np.isfinite(losses), losses, np.inf)
