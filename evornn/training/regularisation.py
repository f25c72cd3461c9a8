"""Regularisation: what training adds to its loss, so that a network does better on data that it has not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Lt

from evornn.arrays import Genomes, Losses, Series
from evornn.errors import EvornnError
from evornn.layout import BaseLayout, Layout
from evornn.settings import BadSetting, settings
from evornn.tasks.core.task import Sequences, Split
from evornn.trainers.core.query import Answer, Perturbation, Query

if TYPE_CHECKING:
    from evornn.networks.network import Network


@settings
class Regularisation:
    """The regularisation of a run, the same rule for every trainer: gradient, evolution or both.

    It changes what a trainer is told, never a loss that is compared: those of the champion on training, validation and
    test data, and targets, are losses on the data as they are.

    Attributes:
        weight_decay: λ of the penalty λ/2 · ‖w‖² in the training loss (Krogh & Hertz 1992, "A simple weight decay can
            improve generalization"), and so of λ · w in its gradient. w are the weights of matrices; biases, numbers
            per unit such as time constants or peepholes, and initial states are left alone.
        input_noise: Standard deviation of Gaussian noise on the training inputs, in the units that the network sees
            (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"). It is new in every step of
            the trainer, and the same for all that this step compares.
        dropout: Probability with which an output of a layer is 0 for the next layer, at each time step by itself; the
            others are divided by 1 − dropout (Srivastava et al. 2014; between layers only: Zaremba et al. 2014), as in
            `torch.nn.LSTM`. What is dropped is new in every step of the trainer and the same for all members.
    """

    weight_decay: Annotated[float, Ge(0)] = 0.0
    input_noise: Annotated[float, Ge(0)] = 0.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    @property
    def is_random(self) -> bool:
        """Whether the same genome has another loss in every step."""
        return self.input_noise > 0 or self.dropout > 0

    def adapt(self, query: Query, seed: int, step: int) -> Query:
        """A trainer's query as the problem gets it: with what is random in a step of a run, and a read-out that is
        solved under the penalty.

        Args:
            query: Of the trainer.
            seed: Of the run.
            step: What tells the trainer's steps apart.
        """
        if self.is_random:
            query = replace(query, perturbation=Perturbation(seed, step, self.input_noise, self.dropout))
        return replace(query, ridge=query.ridge + self.weight_decay / 2) if self.weight_decay else query

    def penalise(self, answer: Answer, genomes: Genomes, layout: BaseLayout) -> Answer:
        """The answer about genomes [P, n] of a layout as the trainer gets it: with the penalty."""
        if not self.weight_decay:
            return answer
        weights: Genomes = np.where(layout.is_weight, genomes, np.float32(0))
        with np.errstate(all="ignore"):  # members that overflow
            squares = np.einsum("pn,pn->p", weights, weights, dtype=np.float64)
            losses: Losses = answer.losses + (self.weight_decay / 2 * squares).astype(np.float32)
            gradients: Genomes = answer.gradients
            if len(gradients):
                gradients = gradients + np.float32(self.weight_decay) * weights
        return replace(answer, losses=losses, gradients=gradients)


NO_REGULARISATION = Regularisation()


def check_regularisation(regularisation: Regularisation, network: Network, train: Split) -> None:
    """Check that a regularisation can apply to a network and its training data. Raises EvornnError."""
    if regularisation.dropout:
        _check_dropout(network, train)
    if regularisation.input_noise:
        _check_input_noise(network, train)


def _check_dropout(network: Network, train: Split) -> None:
    where, layout = "regularisation.dropout", network.layout
    if not isinstance(train, Sequences):
        raise BadSetting(where, "is for training on sequences, not for tasks of control: leave it out")
    if not isinstance(layout, Layout):
        raise BadSetting(where, f"is for layers of cells, {network!r} is written in torch: leave it out")
    if layout.layers < 2:
        raise BadSetting(
            where, f"drops what goes from layer to layer, {network!r} has one: set layers, or leave it out"
        )


def _check_input_noise(network: Network, train: Split) -> None:
    import torch  # which a server and a dispatcher don't need

    where = "regularisation.input_noise"
    if not isinstance(train, Sequences):
        raise BadSetting(where, "a task of control has no training inputs that could be noisy: leave it out")
    if all(is_one_hot(part.inputs) for part in train.portions()):
        raise BadSetting(where, "the inputs are symbols, one-hot, which noise would make others: leave it out")
    try:
        network.layout.check_inputs(torch.as_tensor(train.inputs[:1] + np.float32(0.25)))
    except EvornnError:
        raise BadSetting(where, f"the inputs of {network!r} are codes that noise would destroy: leave it out") from None


def is_one_hot(inputs: Series) -> bool:
    """Whether inputs [B, T, I] are symbols: one input is 1 at a step and all others are 0, or all in padding."""
    return inputs.shape[2] > 1 and bool(((inputs == 0) | (inputs == 1)).all() and (inputs.sum(axis=2) <= 1).all())
