"""What gradient trainers share: P restarts at once, clipping, and the choice of the best restart."""

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
SEQUENCE_START: State = {"batch": 0, "begin": 0, "carry": None}  # first mini-batch, first time step, initial state
SMOOTHING = 0.9  # of the losses that rank restarts: about the last ten updates count


@settings
class GradientTrainer(Trainer):
    """Descends from `restarts` genomes of the initial distribution at the same time.

    Its answer is the restart with the lowest smoothed loss; the candidates are all restarts. In a hybrid the genomes to
    refine replace the restarts.
    """

    family = "gradient"
    needs_gradient = True
    stored_populations = 1

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
        """Losses [P], gradients [P, n], their norms [P] and a mask [P] of finite members, on the step's mini-batch."""
        return with_norms(*oracle.gradients(state["genomes"], oracle.batch(state["step"], self.batch)))

    def rate(self, oracle: Oracle) -> float:
        """The learning rate at this point of the budget."""
        return self.learning_rate * self.schedule.at(oracle.elapsed)


@settings
class FirstOrderTrainer(GradientTrainer):
    """Gradient descent on mini-batches.

    An update leaves a restart unchanged if its loss or gradient is not finite; once its loss was not finite, it ranks
    last for good. A trainer of your own implements `update`, and `length` unless it derives from
    `BackpropagatingTrainer`.
    """

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
        """One update of all restarts.

        Args:
            genomes: [P, n].
            gradients: [P, n], clipped.
            moments: Running averages [P, n] by name, before the update.
            k: Number of the update, counting from 1.
            rate: Learning rate of this update.

        Returns:
            The change [P, n] to add to the genomes, and the new moments.
        """

    def start(self, oracle: Oracle, streams: Streams) -> State:
        state = super().start(oracle, streams)
        moments = {name: np.zeros_like(state["genomes"]) for name in self.moments}
        return {**state, "moments": moments, **({} if self.length is None else {"place": SEQUENCE_START})}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        rate = self.rate(oracle)
        (losses, gradients, norms, finite), place = self._next_gradients(state, oracle)
        with np.errstate(all="ignore"):  # members that overflow are masked out
            genomes, moments = self._apply_update(state, clip_gradients(gradients, norms, self.clip), finite, rate)
            smoothed = smooth(state["smoothed"], losses)
        news = {"genomes": genomes, "moments": moments, "smoothed": smoothed, "gradient_norm": median(norms, finite)}
        return {**state, "step": state["step"] + 1, **news, **place}

    def _next_gradients(self, state: State, oracle: Oracle) -> tuple[tuple[Losses, Genomes, Norms, MemberMask], State]:
        """Losses, gradients, norms and mask as of `with_norms`, and the place where the next update begins."""
        if self.length is None:
            return self.batch_gradients(state, oracle), {}
        at, batch = state["place"], oracle.batch(state["place"]["batch"], self.batch)
        window = oracle.window(state["genomes"], Window(at["begin"], self.length, self.exact, at["carry"]), batch)
        # After the last window the next mini-batch begins, from the initial state.
        over = {"batch": at["batch"] + 1, "begin": 0, "carry": None}
        place = over if window.end is None else {**at, "begin": window.end, "carry": window.carry}
        return with_norms(window.losses, window.gradients), {"place": place}

    def _apply_update(
        self, state: State, gradients: Genomes, finite: MemberMask, rate: float
    ) -> tuple[Genomes, Moments]:
        """Genomes [P, n] and moments after an update, which leaves members out that are not finite."""
        old: Moments = state["moments"]
        delta, new = self.update(state["genomes"], gradients, old, state["step"] + 1, rate)
        rows = finite[:, None]
        kept = {name: np.where(rows, new[name], old[name]) for name in self.moments}
        return np.where(rows, state["genomes"] + delta, state["genomes"]), kept


@settings
class BackpropagatingTrainer(FirstOrderTrainer):
    """Gradient descent by backpropagation through time.

    With `truncate` it is truncated (Williams & Peng 1990): a batch is processed in windows of so many time steps, with
    an update after each. States are carried from window to window, gradients are not. A new batch begins from the
    initial state.
    """

    stored_populations = 2

    truncate: Annotated[int, Ge(1)] | None = None  # time steps per update, None for whole sequences

    @property
    def length(self) -> int | None:
        return self.truncate


def with_norms(losses: Losses, gradients: Genomes) -> tuple[Losses, Genomes, Norms, MemberMask]:
    """Losses [P], gradients [P, n], their norms [P] and a mask [P], True where loss and gradient are finite."""
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.square(gradients, dtype=np.float64).sum(axis=1))
    return losses, gradients, norms, np.isfinite(losses) & np.isfinite(norms)


def median(norms: Norms, finite: MemberMask) -> NDArray[np.float64]:
    """Median of the finite members' norms, NaN without any; numpy's takes longer than a small network's update."""
    ordered = np.sort(norms[finite])
    middle = len(ordered) // 2
    return np.array((ordered[~middle] + ordered[middle]) / 2 if len(ordered) else np.nan)


def clip_gradients(gradients: Genomes, norms: Norms, limit: float | None) -> Genomes:
    """Shorten gradients to a largest norm (Pascanu et al. 2013), as `torch.nn.utils.clip_grad_norm_` does.

    Args:
        gradients: [P, n].
        norms: [P] their norms.
        limit: Largest norm of a member's gradient; None: no limit.

    Returns:
        [P, n] the shortened gradients.
    """
    if limit is None:
        return gradients
    return gradients * np.minimum(limit / (norms + 1e-6), 1)[:, None].astype(np.float32)


def smooth(smoothed: NDArray[np.float64], losses: Losses) -> NDArray[np.float64]:
    """[P] exponential moving average of losses [P] in float64; once a loss was not finite, it stays infinite.

    It starts from 0, so after k updates it is too small by a factor of 1 − SMOOTHING^k (Kingma & Ba 2015, §3). All
    members share this factor and only their order counts, so it is not corrected.
    """
    return SMOOTHING * smoothed + (1 - SMOOTHING) * np.where(np.isfinite(losses), losses, np.inf)
