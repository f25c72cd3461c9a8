"""The reference interpreter: a traced equation on torch tensors [P, B, units], differentiable, on any device.

Every other kernel is tested against it in float64. `Reference` runs the time loop, `Layer` one step of a layer, and
`Product` the affine maps that share their sources. Two rules keep a member's bits independent of the other members:
products are batched over members (`baddbmm`), and a vector is repeated over rows by a product (`expand_rows`), not by
broadcasting.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from evornn.cell import width
from evornn.layout import BaseLayout, Layout, source_names
from evornn.ops import Node

NetworkState: TypeAlias = list[dict[str, Tensor]]  # per layer: state name → [P, B, size]

TORCH_OPS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "relu": torch.relu,
    "stop": lambda a: a.detach(),
    "where": lambda c, a, b: _detach(c) * a + (1 - _detach(c)) * b,
    "positive": lambda a: (a > 0).to(a.dtype),
    "sin": torch.sin,
    "cos": torch.cos,
    "sign": lambda a: torch.where(a.isnan(), a.detach(), torch.sign(a)),
    "abs": torch.abs,
    "minimum": lambda a, b: torch.minimum(*_tensors(a, b)),
    "maximum": lambda a, b: torch.maximum(*_tensors(a, b)),
    "every": lambda period, t: ((t % period) == 0).to(t.dtype),
    "outer": lambda a, b: (a[..., :, None] * b[..., None, :]).flatten(-2),
}


class Reference:
    """One network's equation with the genomes of a population: `run` is the complete forward pass."""

    def __init__(self, layout: Layout, genomes: Tensor) -> None:
        self.layout, self.genomes = layout, genomes
        self.layers = [Layer(layout, k, genomes) for k in range(layout.layers)]

    def run(self, inputs: Tensor, state: NetworkState | None = None) -> tuple[Tensor, NetworkState]:
        """[B, T, I] → outputs [P, B, T, O] and the state after the last step, with which a later call continues."""
        hidden, end = self.hidden_states(inputs, state)
        return self.readout(hidden.flatten(1, 2)).view(*hidden.shape[:3], -1), end

    def hidden_states(
        self, inputs: Tensor, state: NetworkState | None = None, forced_outputs: Tensor | None = None
    ) -> tuple[Tensor, NetworkState]:
        """The values that the read-out sees.

        Args:
            inputs: [B, T, I], or [B, T, I + D] with the factors of dropout.
            state: per layer: state name → [P, B, size]; None: the initial state.
            forced_outputs: [B, T, O] fed back in place of the network's own outputs (teacher forcing).

        Returns:
            [P, B, T, H], and the state after the last step.
        """
        batch, length, _ = inputs.shape
        inputs, factors = inputs[..., : self.layout.inputs], inputs[..., self.layout.inputs :]
        width = self.layout.width
        states = self.initial_state(batch) if state is None else state
        feedback, timed = ("y" in self.layout.trace.leaves), ("t" in self.layout.trace.leaves)
        y, t = self._last_value("y", self.layout.outputs, states, batch), self._last_value("t", 1, states, batch)
        # The inputs of all steps are known, so the first layer multiplies them at once; the loop adds what depends
        # on states.
        first = self.layers[0].input_products(inputs)
        seen = []
        for step in range(length):
            now, x = [], inputs[:, step].unsqueeze(0)
            # Layers in order: each sees the new output of the one below, and all see the last output y of the network.
            for k, layer in enumerate(self.layers):
                ready = {product: values[:, step] for product, values in first.items()} if k == 0 else {}
                now.append(layer.step(x, y, t, states[k], ready))
                x = layer.output(now[-1])
                if k * width < factors.shape[-1]:
                    x = x * factors[:, step, k * width : (k + 1) * width]
            seen.append(x)
            if feedback:
                y = self.readout(x) if forced_outputs is None else forced_outputs[:, step].expand(len(x), -1, -1)
            t = t + 1 if timed else t
            states = now
        # The fed-back output and the time travel with every layer's state, so that a later call can continue.
        carried = {**({"y": y} if feedback else {}), **({"t": t} if timed else {})}
        return torch.stack(seen, 2), [{**s, **carried} for s in states]

    def initial_state(self, batch: int) -> NetworkState:
        """The state before the first step: zero, or the genome's."""
        return [layer.initial_state(batch) for layer in self.layers]

    def _last_value(self, name: str, size: int, states: NetworkState, batch: int) -> Tensor:
        """[P, B, size] the last output or time of an earlier call; 0 at the start."""
        carried = states[-1].get(name)
        return carried if carried is not None else self.genomes.new_zeros(len(self.genomes), batch, size)

    def readout(self, h: Tensor) -> Tensor:
        """[P, B, H] what a layer puts out → the network's outputs [P, B, O]."""
        if not self.layout.readout:
            return h[..., : self.layout.outputs]
        weight, bias = (matrix(self.layout, self.genomes, f"readout.{part}") for part in ("weight", "bias"))
        return torch.baddbmm(expand_rows(bias[:, None], h.shape[1]), h, weight.mT)


class Layer:
    """One layer of a population: its weights, unpacked once, and its step."""

    def __init__(self, layout: Layout, index: int, genomes: Tensor) -> None:
        self.layout, self.index, self.genomes = layout, index, genomes
        self.trace, self.sizes = layout.trace, layout.sizes(index)
        self.products = [
            Product(group, layout, index, genomes) for group in group_by_sources(list(self.trace.maps.values()))
        ]
        self.product_of = {node: product for product in self.products for node in product.nodes}
        # Values without leaves (parameters per unit, constants, what is made of them) are computed once,
        # [P, 1, size] each.
        self.static_values: dict[Node, Any] = {}
        for node in (*self.trace.order, *self.trace.output_order):
            if node in self.trace.static_nodes and node not in self.static_values:
                self.static_values[node] = self._static_value(node)
        self.static_rows: dict[int, dict[Node, Any]] = {}

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """State name → [P, B, size]."""
        shapes = self.layout.state_sizes(self.index)
        zero = {s: self.genomes.new_zeros(len(self.genomes), batch, size) for s, size in shapes.items()}
        if self.layout.initial_state == "zero":
            return zero
        return {s: z + matrix(self.layout, self.genomes, f"{self.index}.{s}.initial")[:, None] for s, z in zero.items()}

    def input_products(self, inputs: Tensor) -> dict[int, Tensor]:
        """Product number → [P, T, B, rows]: what the inputs of all steps, known in advance, add to each product."""
        x = inputs.transpose(0, 1).reshape(1, -1, inputs.shape[-1]).expand(len(self.genomes), -1, -1)
        leaf, shape = self.trace.leaves.get("x"), (len(self.genomes), inputs.shape[1], inputs.shape[0], -1)
        sums = {}
        for k, product in enumerate(self.products):
            if leaf in product.sources:
                weights = [w for w, source in zip(product.weights, product.sources, strict=True) if source is leaf]
                weight = functools.reduce(torch.add, weights)
                sums[k] = torch.baddbmm(expand_rows(product.bias, x.shape[1]), x, weight).view(shape)
        return sums

    def step(
        self, x: Tensor, y: Tensor, t: Tensor, state: Mapping[str, Tensor], input_sums: Mapping[int, Tensor]
    ) -> dict[str, Tensor]:
        """One time step.

        Args:
            x: [P or 1, B, I] the layer's input.
            y: [P, B, O] the network's last output.
            t: [P, B, 1] the time.
            state: state name → [P, B, size].
            input_sums: product number → what its input source has already added, as from `input_products`.

        Returns:
            The new states.
        """
        arguments = {**state, "x": x, "y": y, "t": t}
        values = self._static_rows(x.shape[1])
        for name, leaf in self.trace.leaves.items():
            values[leaf] = arguments[name]
        for node in self.trace.order:
            # the first map of a product computes all of its maps, whose nodes then have values
            if node in values:
                continue
            if node.op == "affine":
                product = self.product_of[node]
                values.update(product(values, input_sums.get(self.products.index(product)), self.trace.leaves.get("x")))
            else:
                values[node] = self._value(node, values)
        return {
            s: values[node].expand_as(state[s])
            for s, node in zip(self.trace.states, self.trace.new_states, strict=True)
        }

    def output(self, state: Mapping[str, Tensor]) -> Tensor:
        """[P, B, H] what the read-out or the next layer sees."""
        values = self._static_rows(next(iter(state.values())).shape[1])
        # `output_order` is written in the state leaves, which here stand for the new states
        for name in self.trace.states:
            values[self.trace.leaves[name]] = state[name]
        for node in self.trace.output_order:
            if node not in values:
                values[node] = self._value(node, values)
        result: Tensor = values[self.trace.output]
        return result

    def _static_rows(self, batch: int) -> dict[Node, Any]:
        """The values that are the same at every step, one row per sequence; computed at the first step."""
        if batch not in self.static_rows:
            self.static_rows[batch] = {node: expand_rows(values, batch) for node, values in self.static_values.items()}
        return dict(self.static_rows[batch])

    def _value(self, node: Node, values: Mapping[Node, Any]) -> Any:
        """The value of an operation, from those of its operands."""
        args: list[Any] = [values[a] if isinstance(a, Node) else a for a in node.args]
        if node.op == "spread":
            return args[0].repeat_interleave(self.sizes["units"] // args[0].shape[-1], -1)
        return TORCH_OPS[node.op](*args)

    def _static_value(self, node: Node) -> Any:
        """The value of a node without leaves, [P, 1, size]."""
        if node.op == "parameter":
            return matrix(self.layout, self.genomes, f"{self.index}.{node.name}")[:, None]
        if node.values is not None:
            fixed = torch.as_tensor(
                np.array(node.values(self.sizes)), dtype=self.genomes.dtype, device=self.genomes.device
            )
            return fixed.expand(1, 1, width(node.size, self.sizes))
        return self._value(node, self.static_values)


class Product:
    """Affine maps with the same sources, computed as one: [P, B, columns] → [P, B, rows of all maps]."""

    def __init__(self, nodes: list[Node], layout: Layout, layer: int, genomes: Tensor) -> None:
        def get(node: Node, part: str) -> Tensor:
            return matrix(layout, genomes, f"{layer}.{node.name}.{part}")

        self.nodes, self.sources = nodes, nodes[0].nodes
        self.heights = [get(node, source_names(node)[0]).shape[1] for node in nodes]
        self.weights = [  # per source [P, columns, rows]
            torch.cat([get(node, source_names(node)[k]) for node in nodes], 1).mT.contiguous()
            for k in range(len(self.sources))
        ]
        zero = genomes.new_zeros(len(genomes), max(self.heights))
        parts = [
            get(node, "bias") if node.bias else zero[:, :height]
            for node, height in zip(nodes, self.heights, strict=True)
        ]
        self.bias = torch.cat(parts, 1)[:, None]  # [P, 1, rows]

    def __call__(self, values: Mapping[Node, Any], input_sum: Tensor | None, x: Node | None) -> dict[Node, Tensor]:
        result = input_sum
        for source, weight in zip(self.sources, self.weights, strict=True):
            if input_sum is not None and source is x:
                continue
            value = values[source].expand(len(weight), -1, -1)
            result = torch.baddbmm(expand_rows(self.bias, value.shape[1]) if result is None else result, value, weight)
        assert result is not None
        return dict(zip(self.nodes, torch.split(result, self.heights, -1), strict=True))


def expand_rows(vectors: Tensor, count: int) -> Tensor:
    """[P, 1, H] → [P, count, H], as a product: the gradient of a broadcast is a sum over an axis, whose rounding
    depends on a member's place in the population."""
    return torch.bmm(vectors.new_ones(1, 1, 1).expand(len(vectors), count, 1), vectors)


def group_by_sources(nodes: list[Node]) -> list[list[Node]]:
    """Maps grouped by their sources: an LSTM's four gates make one group."""
    groups: dict[tuple[int, ...], list[Node]] = {}
    for node in nodes:
        groups.setdefault(tuple(map(id, node.nodes)), []).append(node)
    return list(groups.values())


def matrix(layout: BaseLayout, genomes: Tensor, name: str) -> Tensor:
    """A block of the genomes, or weights that the architecture fixes; 0 where a mask leaves out a weight.

    Args:
        layout: the network.
        genomes: [P, n].
        name: of the block.

    Returns:
        [P, *shape].
    """
    if name in layout.fixed_weights:
        values = torch.as_tensor(layout.fixed_weights[name], dtype=genomes.dtype, device=genomes.device)
        return values.expand(len(genomes), -1, -1)
    block = layout.blocks[name]
    part = genomes[:, block.slice]
    if block.mask is None:
        return part.view(-1, *block.shape)
    full = genomes.new_zeros(len(genomes), *block.shape)
    full[:, torch.as_tensor(np.array(block.mask))] = part
    return full


def _tensors(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two values as tensors; one of them may be a number."""
    example = a if isinstance(a, Tensor) else b
    return torch.as_tensor(a).to(example), torch.as_tensor(b).to(example)


def _detach(condition: Any) -> Any:
    return condition.detach() if isinstance(condition, Tensor) else condition
