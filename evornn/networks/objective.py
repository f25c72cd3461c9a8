"""An objective: sequences bound to a network, checked and laid out once, evaluated many times."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch, Genomes, Series
from evornn.errors import EvornnError
from evornn.kernels import forward_mode
from evornn.kernels.evaluate import Evaluator, mask_non_finite
from evornn.kernels.reference import NetworkState
from evornn.layout import Layout
from evornn.networks.arguments import Arguments, to_tensor
from evornn.networks.loss import (
    DIFFERENTIABLE,
    CustomLoss,
    check_targets,
    custom_cotangents,
    custom_losses,
    has_gradient,
)
from evornn.networks.readout import solve_readout
from evornn.settings import BadSetting

EMPTY = np.zeros(0, np.float32)
OUTPUTS_AT_A_TIME = 2**26  # numbers in the outputs that a user's loss gets per call


class Objective:
    """Data bound to a network, made by `Network.objective`. Its methods are those of `Network` without the data.

    >>> import numpy as np
    >>> from evornn.networks.network import Network
    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> objective = network.objective(np.ones((9, 5, 1)), np.zeros((9, 5, 1)))
    >>> objective.take(np.array([3, 1])).losses(network.sample(count=3, seed=0)).shape   # [P], of two of the sequences
    (3,)
    """

    def __init__(self, evaluator: Any, arguments: Arguments, examples: Any, differentiable: bool) -> None:
        self.evaluator, self.arguments, self.differentiable = evaluator, arguments, differentiable
        self.examples = examples  # of the class that `evaluator.bind` returns
        self._checked_losses: set[str] = set()  # names that the targets were checked for

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, rows: Batch) -> Objective:
        """The objective of a mini-batch: the sequences `rows`. Raises EvornnError where none of their steps counts."""
        return self._with(self.examples.take(rows))

    def slice_steps(self, steps: slice) -> Objective:
        """The objective of some of the time steps."""
        return self._with(self.examples.slice_time(steps))

    def add_to_inputs(self, values: Series) -> Objective:
        """The objective with [B, T, I] added to its inputs, which are numbers."""
        return self._with(self.examples.add_to_inputs(values))

    def with_dropout(self, factors: Series) -> Objective:
        """The objective whose network has the outputs of all layers but the last multiplied by factors [B, T, D]."""
        return self._with(self.examples.with_dropout(factors, self.arguments.layout.inputs))

    def _with(self, examples: Any) -> Objective:
        part = Objective(self.evaluator, self.arguments, examples, self.differentiable)
        part._checked_losses = set(self._checked_losses)  # what fits all sequences fits some
        return part

    def losses(
        self, genomes: Genomes | Tensor, *, loss: str | CustomLoss = "mse", state: NetworkState | None = None
    ) -> Any:
        """Mean losses over all steps that count.

        Args:
            genomes: [P, n].
            loss: A name, or a function (`evornn.networks.loss.CustomLoss`).
            state: State before the first step; None: the architecture's initial state.

        Returns:
            [P] losses, NaN where a member is not finite.

        Raises:
            EvornnError: Shapes don't fit the network.
        """
        g, begin = self._begin(genomes, state)
        self.check_targets(loss)
        if isinstance(loss, str):
            values = self.evaluator.losses(g, self.examples, loss, begin)
        else:
            inputs, targets, mask = self.examples.tensors
            outputs = torch.as_tensor(self.evaluator.outputs(g, inputs, begin)[0])
            (values,) = mask_non_finite(g, custom_losses(loss, outputs, targets, mask).detach())
        return match_type(genomes, values)

    def gradients(
        self, genomes: Genomes | Tensor, *, loss: str | CustomLoss = "mse", state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:  # fmt: skip
        """Losses and their gradients by backpropagation through time.

        Args:
            genomes: [P, n].
            loss: A name other than "zero_one", or a function written in torch.
            state: State before the first step, into which no gradient flows; None: the initial state.
            return_state: Whether to return the state after the last step as well.

        Returns:
            [P] losses and [P, n] gradients; with `return_state` also the state.

        Raises:
            EvornnError: Shapes don't fit the network, or loss or network has no gradient.
        """
        self._check_gradient(loss)
        self.check_targets(loss)
        g, begin = self._begin(genomes, state)
        if isinstance(loss, str):
            results = self.evaluator.gradients(g, self.examples, loss, begin, return_state)
        else:
            results = self._custom_gradients(g, loss, begin, return_state)
        values, gradients, end = results
        answer = match_type(genomes, values, gradients)
        return answer if end is None else (*answer, match_state_type(genomes, end))

    def _custom_gradients(
        self, g: Any, loss: CustomLoss, begin: Any, return_state: bool
    ) -> tuple[Tensor, Tensor, NetworkState | None]:
        """Losses, gradients and last state of a user's loss, for as many members at a time as memory allows.

        Torch differentiates the loss by the outputs; the evaluator's backward pass does the rest.
        """
        evaluator, (inputs, targets, mask) = self.evaluator, self.examples.tensors
        size = max(1, OUTPUTS_AT_A_TIME // (mask.numel() * self.arguments.layout.outputs))
        values, gradients, ends = list[Tensor](), list[Tensor](), list[NetworkState]()
        for k in range(0, len(g), size):
            members = slice(k, k + size)
            start = begin and [{name: v[members] for name, v in layer.items()} for layer in begin]
            outputs, end = evaluator.outputs(g[members], inputs, start)
            member_losses, cotangents = custom_cotangents(loss, torch.as_tensor(outputs), targets, mask)
            values.append(member_losses)
            gradients.append(torch.as_tensor(evaluator.pull_back(g[members], self.examples, cotangents, start)))
            ends.append(to_tensors(end))
        losses, gradient = mask_non_finite(g, torch.cat(values), torch.cat(gradients))
        last_state = [
            {name: torch.cat([end[k][name] for end in ends]) for name in layer} for k, layer in enumerate(ends[0])
        ]
        return losses, gradient, last_state if return_state else None

    def sensitivities(
        self, genomes: Genomes | Tensor, *, loss: str = "mse", state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:  # fmt: skip
        """Losses and their gradients by real-time recurrent learning, computed by torch whatever the backend.

        Args:
            genomes: [P, n].
            loss: A name other than "zero_one".
            state: State before the first step, with derivatives from an earlier call; None: the initial state.
            return_state: Whether to return the state after the last step as well, with its derivatives.

        Returns:
            [P] losses and [P, n] gradients; with `return_state` also the state.

        Raises:
            EvornnError: As for `gradients`; or the network is not made of cells, or its derivatives don't fit into
                memory.
        """
        if not isinstance(loss, str):
            raise EvornnError("rtrl takes a loss by name, not a function of your own: use sgd or adam")
        self._check_gradient(loss)
        self.check_targets(loss)
        layout = self.arguments.layout
        if not isinstance(layout, Layout):
            raise EvornnError(f"{self.arguments.network} is not made of cells: rtrl can't train it, use sgd or adam")
        arrays, carried = self._begin(genomes, state)
        g, begin = to_tensor("genomes", arrays), carried and to_tensors(carried)
        forward_mode.check_derivative_memory(layout, len(g), *self.examples.inputs.shape[:2])
        # The check keeps a layout's own states only: the derivatives of an earlier call join them here.
        for layer, given in zip(begin or (), state or (), strict=True):
            layer |= {k: torch.as_tensor(v).to(g) for k, v in given.items() if k.startswith(forward_mode.MARK)}
        # The same sequences as the torch evaluator lays them out, in the precision of the genomes.
        x, y, m = self.examples.tensors
        reference = Evaluator(layout)
        examples = reference.bind(reference.prepare_inputs(x).to(g), y, m)
        values, gradients, end = forward_mode.gradients(layout, g, examples, loss, begin)
        answer = match_type(genomes, *mask_non_finite(g, values, gradients))
        return (*answer, match_state_type(genomes, end)) if return_state else answer

    def readouts(self, genomes: Genomes | Tensor, *, ridge: float = 1e-6) -> Any:
        """[P, n] the genomes with read-outs solved by ridge regression; see `Network.readouts`."""
        if not (np.isfinite(ridge) and ridge >= 0):
            raise BadSetting("ridge", f"must be a number, at least 0, got {ridge!r}")
        layout = self.arguments.layout
        if not isinstance(layout, Layout) or not layout.readout:
            raise EvornnError(f"{self.arguments.network} has no linear read-out to solve")
        g, _ = self._begin(genomes, None)
        products = self.evaluator.products(g, self.examples)
        arrays = [match_type(EMPTY, values) for values in (g, *products)]
        with_readouts = solve_readout(layout, arrays[0], (arrays[1], arrays[2]), ridge)
        return match_type(genomes, *mask_non_finite(g, with_readouts))

    def _begin(self, genomes: Genomes | Tensor, state: NetworkState | None) -> tuple[Any, Any]:
        """Genomes [P, n] and a state, checked, as the evaluator's kind of arrays."""
        g = self.arguments.genomes(genomes)
        return g, None if state is None else self.arguments.state(state, len(g), len(self))

    def check_targets(self, loss: str | CustomLoss) -> None:
        """Refuse a loss that the targets can't have, once for each. Raises EvornnError."""
        if isinstance(loss, str) and loss not in self._checked_losses:
            _, targets, mask = self.examples.tensors
            check_targets(loss, targets, mask, self.arguments.layout.outputs)
            self._checked_losses.add(loss)

    def skip_checks(self, loss: str | CustomLoss) -> None:
        """Say that the targets are known to be those that a loss can have."""
        if isinstance(loss, str):
            self._checked_losses.add(loss)

    def _check_gradient(self, loss: str | CustomLoss) -> None:
        """Raises EvornnError where there is none."""
        if not self.differentiable:
            raise EvornnError(f"{self.arguments.network} has no gradient: train it by evolution")
        if not has_gradient(loss):
            raise EvornnError(
                f"the loss {loss!r} has no gradient: train it by evolution, use one of {', '.join(DIFFERENTIABLE)}, or "
                "write yours in torch"
            )


def match_type(example: Any, *results: Any) -> Any:
    """The results as arrays of the example's kind, numpy or torch; several as a tuple."""
    converted: tuple[Any, ...]
    if isinstance(example, Tensor):
        converted = tuple(map(torch.as_tensor, results))
    else:
        converted = tuple(r.detach().cpu().numpy() if isinstance(r, Tensor) else r for r in results)
    return converted if len(converted) > 1 else converted[0]


def match_state_type(example: Any, state: Any) -> list[dict[str, Any]]:
    """A state with arrays of the example's kind."""
    return [{name: match_type(example, values) for name, values in layer.items()} for layer in state]


def to_tensors(state: Any) -> NetworkState:
    """A state with torch tensors, for what torch computes whatever the backend."""
    return [{name: torch.as_tensor(values) for name, values in layer.items()} for layer in state]
