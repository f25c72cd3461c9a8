"""Gradients in forward mode: a network's derivatives by all its weights are carried along with its state, as in
real-time recurrent learning (Williams & Zipser 1989).

The reference interpreter computes a member n times at once in dual numbers, each time with the derivative by another
weight. Every member is computed alone and by one thread, so its bits don't depend on other members.
"""

from __future__ import annotations

import torch
import torch.autograd.forward_ad as dual
from torch import Tensor

from evornn.kernels import losses
from evornn.kernels.evaluate import single_thread
from evornn.kernels.examples import Examples
from evornn.kernels.reference import NetworkState, Reference
from evornn.layout import Layout
from evornn.memory import check_memory

MARK = "∂"  # before a state's name: its derivatives by all weights, [P, B, size, n]


def gradients(
    layout: Layout, genomes: Tensor, examples: Examples, loss: str, state: NetworkState | None = None
) -> tuple[Tensor, Tensor, NetworkState]:
    """Losses and gradients in forward mode.

    Args:
        layout: the network.
        genomes: [P, n].
        examples: what it is evaluated on.
        loss: its name.
        state: where to start, per layer: state name → [P, B, size]; "∂" + name → its derivatives [P, B, size, n]. A
            state without derivatives depends on no weight. None: the initial state.

    Returns:
        [P] mean losses over the steps where the mask is True, [P, n] their gradients, and the state after the last step
            with
        its derivatives.
    """
    with single_thread(), torch.no_grad(), dual.dual_level():
        parts = [
            _member_gradient(layout, genome, examples, loss, _select_member(state, p))
            for p, genome in enumerate(genomes)
        ]
    values, gradients, ends = zip(*parts, strict=True)
    end = [{name: torch.stack([e[k][name] for e in ends]) for name in layer} for k, layer in enumerate(ends[0])]
    return torch.stack(values), torch.stack(gradients), end


def _member_gradient(
    layout: Layout, genome: Tensor, examples: Examples, loss: str, state: NetworkState | None
) -> tuple[Tensor, Tensor, NetworkState]:
    """A loss [], its gradient [n] and the state after the last step, [B, size] and [B, size, n]."""
    n, (inputs, targets, mask) = len(genome), examples.to_dense(layout.outputs).tensors
    weights = _make_dual(genome.expand(n, n), torch.eye(n).to(genome))
    begin = None if state is None else [_to_dual(layer, n) for layer in state]
    # n copies of the member; in copy k the derivative is that by weight k
    outputs, end = Reference(layout, weights).run(inputs, begin)
    steps = losses.step_loss(loss)(outputs, targets)
    mean = torch.where(mask, steps, 0.0).flatten(1).sum(1) / examples.count
    value, gradient = _unpack_dual(mean)
    return value[0], gradient, [_from_dual(layer) for layer in end]


def _to_dual(layer: dict[str, Tensor], n: int) -> dict[str, Tensor]:
    """A layer's state [B, size] with its derivatives as n dual numbers [n, B, size] each."""
    duals = {}
    for name, values in layer.items():
        if not name.startswith(MARK):
            derivatives = layer.get(MARK + name, values.new_zeros(*values.shape, n))
            duals[name] = _make_dual(values.expand(n, -1, -1), derivatives.permute(2, 0, 1))
    return duals


def _from_dual(layer: dict[str, Tensor]) -> dict[str, Tensor]:
    """The opposite of `_to_dual`."""
    state: dict[str, Tensor] = {}
    for name, values in layer.items():
        value, derivative = _unpack_dual(values)
        state |= {name: value[0], MARK + name: derivative.permute(1, 2, 0)}
    return state


def _make_dual(values: Tensor, derivatives: Tensor) -> Tensor:
    number: Tensor = dual.make_dual(values.contiguous(), derivatives.contiguous())  # type: ignore[no-untyped-call]
    return number


def _unpack_dual(number: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the derivative, 0 where there is none."""
    value, derivative = dual.unpack_dual(number)  # type: ignore[no-untyped-call]
    return value, torch.zeros_like(value) if derivative is None else derivative


def _select_member(state: NetworkState | None, member: int) -> NetworkState | None:
    return state and [{name: values[member] for name, values in layer.items()} for layer in state]


def check_derivative_memory(layout: Layout, members: int, sequences: int, steps: int) -> None:
    """Check that the derivatives fit into memory.

    Args:
        layout: the network.
        members: P.
        sequences: B.
        steps: T.

    Raises:
        EvornnError: they don't.
    """
    (values, kept), n = layout.value_counts, layout.n
    carried = sum(sum(layout.carried_sizes(layer).values()) for layer in range(layout.layers))
    work = 4 * n * n + 2 * n * sequences * (values + steps * kept)  # of one member, with derivatives
    check_memory(
        f"rtrl: the derivatives of {carried:,} states by {n:,} weights in {sequences:,} sequences",
        4 * (work + 2 * members * sequences * carried * n),
        "lower units, batch or restarts, or use sgd or adam with truncate",
    )
