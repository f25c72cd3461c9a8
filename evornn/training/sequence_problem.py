"""Sequences as a problem: mean losses over their time steps, and gradients."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from evornn.arrays import Batch, Floats, Genome, Losses, Mask, Series, Streams
from evornn.errors import EvornnError
from evornn.kernels.losses import step_loss
from evornn.kernels.normal import standard_normal
from evornn.layout import Layout
from evornn.networks.loss import CustomLoss, has_gradient
from evornn.networks.network import Network
from evornn.networks.objective import Objective
from evornn.tasks.core.lazy import Lazy
from evornn.tasks.core.task import Score, Sequences
from evornn.trainers.core.query import Answer, Kind, Perturbation, Query, Segment
from evornn.trainers.core.trainer import NoGradient
from evornn.training.problem import Problem

GRADIENT_COST = 3  # network steps per forward step: one forward and about two backward


class SequenceProblem(Problem):
    """A problem of B sequences of T steps. A member costs B × T network steps, a gradient 3 times that."""

    def __init__(self, network: Network, data: Sequences, loss: str | CustomLoss) -> None:
        self.network, self.data, self.loss = network, data, loss

    @property
    def sizes(self) -> tuple[int, int]:
        return self.data.sizes

    @property
    def num_cases(self) -> int:
        return len(self.data)

    @property
    def is_separable(self) -> bool:
        return True

    def min_cost(self, query: Query) -> int:
        if query.segment is not None:
            return query.segment.cost
        sequences = len(self.data) if query.batch is None else len(query.batch)
        factor = GRADIENT_COST if query.kind is Kind.GRADIENTS else 1
        return sequences * int(self.data.inputs.shape[1]) * factor

    @property
    def readout(self) -> Layout:
        return readout_layout(self.network, self.loss)

    def check(self, gradients: bool, readouts: bool) -> None:
        if isinstance(self.loss, str):
            step_loss(self.loss)  # raises UnknownName
        if gradients:
            check_differentiable(self.loss)
            if not self.network.differentiable:
                raise NoGradient(f"{self.network!r} has no gradient: use an evolutionary trainer")
        if readouts:
            readout_layout(self.network, self.loss)

    def answer(self, query: Query) -> Answer:
        if query.segment is not None:
            return self._answer_window(query, query.segment)
        objective = perturb(self._cases(query), query.perturbation)
        if query.kind is Kind.GRADIENTS:
            return Answer(*objective.gradients(query.genomes, loss=check_differentiable(self.loss)))
        if query.kind is Kind.READOUTS:
            return Answer(genomes=objective.readouts(query.genomes, ridge=query.ridge))
        return Answer(objective.losses(query.genomes, loss=self.loss))

    def segment(self, query: Query) -> Segment:
        window, mask = query.window, np.asarray(self.data.mask if query.batch is None else self.data.mask[query.batch])
        assert window is not None
        counting = np.flatnonzero(mask.any(axis=0))
        if not len(counting):
            raise EvornnError(
                "no step of a mini-batch counts: use larger batches, or sequences whose mask is not empty"
            )
        begin, length = window.begin, window.length
        # Skip whole windows up to the one with the next step that counts.
        ahead = int(counting[counting >= begin][0])
        first = begin + (ahead - begin) // length * length
        end, last = min(first + length, mask.shape[1]), int(counting[-1]) + 1
        # Exact gradients need sensitivities through the skipped steps as well; others only a forward pass.
        steps = (self.network.n + 1) * (end - begin) if window.exact else first - begin + GRADIENT_COST * (end - first)
        return Segment(begin, first, end, last, len(mask) * steps)

    def _answer_window(self, query: Query, segment: Segment) -> Answer:
        window, loss = query.window, check_differentiable(self.loss)
        assert window is not None
        if not self.network.layout.states:
            raise EvornnError(f"{self.network!r} carries no state over: leave truncate out")
        objective = perturb(self._cases(query).slice_steps(slice(segment.begin, segment.end)), query.perturbation)
        state: Any = window.carry
        # With dropout they get a gradient, too: nothing but the objective knows what is dropped.
        has_dropout = query.perturbation is not None and query.perturbation.dropout > 0
        skipped = 0 if window.exact or has_dropout else segment.first - segment.begin
        if skipped:  # these steps need only a forward pass, for the state after them
            inputs = objective.examples.inputs[:, :skipped]
            _, state = self.network.predict(query.genomes, inputs, state=state, return_state=True)
            objective = objective.slice_steps(slice(skipped, None))
        compute: Any = objective.sensitivities if window.exact else objective.gradients
        losses, gradients, state = compute(query.genomes, loss=loss, state=state, return_state=True)
        end, carry = (segment.end, state) if segment.end < segment.last else (None, None)
        return Answer(losses, gradients, end=end, carry=carry)

    def _cases(self, query: Query) -> Objective:
        """The sequences of a query's mini-batch."""
        return self.objective if query.batch is None else self.objective.take(query.batch)

    def score(self, genome: Genome, score: Score) -> float:
        if self.data.is_lazy:
            return score.judge(self.outputs(genome), self.data)
        values = [np.nan]

        def score_loss(outputs: Floats, targets: Series, mask: Mask) -> Losses:
            values[0] = score.judge(outputs[0], self.data)
            return np.zeros(1, np.float32)

        # Computed inside of a custom loss, so that the network sees padding as it does in every loss.
        self.objective.losses(genome[None], loss=score_loss)
        return values[0]

    def outputs(self, genome: Genome) -> Lazy:
        """[B, T, O] those of one genome [n], computed when they are asked for."""

        def predict(rows: Batch) -> Series:
            inputs, _, mask = self._cut(rows)
            outputs: Series = self.network.predict(genome[None], inputs, mask=mask)[0]
            return outputs

        return Lazy(self.data.targets.shape, np.dtype(np.float32), predict)

    @cached_property
    def objective(self) -> Objective:
        """All sequences bound to the network."""
        if self.data.is_lazy:
            return self._stream()
        objective = self.network.objective(*self._bindable(self.data))
        objective.check_targets(self.loss)  # once: mini-batches need no check
        return objective

    def _stream(self) -> Objective:
        """Sequences that are cut when they are needed."""
        data, count = self.data, int(np.sum(self.data.mask))
        objective = self.network.stream(self._cut, len(data), data.inputs.shape[1], count)
        _ = self._by_class  # which checks the targets
        objective.skip_checks(self.loss)
        return objective

    def _cut(self, rows: Batch) -> tuple[Any, Any, Mask]:
        """Inputs, targets and mask of some sequences, to be bound."""
        part = self.data.take(rows)
        codes = self._bindable(part)
        inputs, targets = (
            code if by_class else vectors
            for by_class, code, vectors in zip(self._by_class, codes, (part.inputs, part.targets), strict=False)
        )
        return inputs, targets, part.mask

    @cached_property
    def _by_class(self) -> tuple[bool, bool]:
        """Whether inputs and targets of all sequences are one-hot, and so can be looked up; found out once. Raises
        EvornnError for targets that the loss can't have."""
        found = []
        for part in self.data.portions():
            inputs, targets, mask = self._bindable(part)
            self.network.objective(inputs, targets, mask).check_targets(self.loss)
            found.append((inputs.ndim == 2, targets.ndim == 2))
        by_inputs, by_targets = (all(each) for each in zip(*found, strict=True))
        return by_inputs, by_targets

    def _bindable(self, data: Sequences) -> tuple[Any, Any, Mask]:
        """Inputs, targets and mask, one-hot vectors as class indices where the kernels can look them up."""
        inputs, targets = data.inputs, data.targets
        if data.is_categorical and self.network.backend == "simd":
            inputs = class_indices(inputs, _steps_read(data.mask))
            targets = class_indices(targets, data.mask) if self.loss == "cross_entropy" else targets
        return inputs, targets, data.mask


def last_outputs(network: Network, genome: Genome, split: Sequences) -> Floats:
    """[B, O] the outputs of a genome [n] at the last step of each sequence that counts."""
    parts = split.portions()
    outputs = (part.last_steps(network.predict(genome[None], part.inputs, mask=part.mask)[0]) for part in parts)
    return np.concatenate([*outputs])


def perturb(objective: Objective, perturbation: Perturbation | None) -> Objective:
    """The objective with noisy inputs and dropout; unchanged without a perturbation."""
    if perturbation is None:
        return objective
    seed, step, shape = perturbation.seed, perturbation.step, objective.examples.inputs.shape
    if perturbation.input_noise:
        noise = standard_normal(Streams(seed, "input_noise").at(step), shape[0], shape[1] * shape[2])
        objective = objective.add_to_inputs(np.float32(perturbation.input_noise) * noise.reshape(shape))
    if perturbation.dropout:
        kept, width = 1 - perturbation.dropout, objective.arguments.layout.dropout_width
        draws = Streams(seed, "dropout").at(step).random((*shape[:2], width), np.float32)
        objective = objective.with_dropout(np.where(draws < kept, np.float32(1 / kept), np.float32(0)))
    return objective


def class_indices(values: Series, counted: Mask) -> Any:
    """One-hot vectors as the places of their ones, which the kernels look up.

    Args:
        values: [B, T, size].
        counted: [B, T] where they must be one-hot.

    Returns:
        [B, T], 0 elsewhere; the values as they are if one is no such vector.
    """
    places = np.zeros(counted.shape, np.int64)
    for row, (vectors, here) in enumerate(zip(values, counted, strict=True)):
        own = vectors[here]
        if (np.count_nonzero(own, axis=1) != 1).any() or not (own.sum(axis=1) == 1.0).all():
            return values
        places[row, here] = own.argmax(axis=1)
    return places


def _steps_read(mask: Mask) -> Mask:
    """[B, T] the steps up to the last one that counts."""
    read: Mask = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] > 0
    return read


def readout_layout(network: Network, loss: str | CustomLoss) -> Layout:
    """The network's layout, if ridge regression can solve its read-out for this loss. Raises EvornnError if not."""
    layout = network.layout
    if not isinstance(layout, Layout) or not layout.readout:
        raise EvornnError(f"{network!r} has no linear read-out to solve: use a trainer other than ridge and evolino")
    if loss != "mse":
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
        raise EvornnError(f"ridge regression minimises mse, not {name}: use another trainer, or the loss mse")
    return layout


def check_differentiable(loss: str | CustomLoss) -> str | CustomLoss:
    """The loss, if it has a gradient; raises NoGradient."""
    if has_gradient(loss):
        return loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "your function")
    advice = "a loss such as mse" if isinstance(loss, str) else "write it in torch"
    raise NoGradient(f"the loss {name} has no gradient: use an evolutionary trainer, or {advice}")
