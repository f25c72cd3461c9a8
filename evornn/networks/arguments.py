"""Checks of what a user passes to a network, and its conversion to the network's device and precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evornn.errors import EvornnError
from evornn.layout import BaseLayout
from evornn.settings import BadSetting


@dataclass(frozen=True)
class Arguments:
    """The checks of one network's arguments. `network` is its name in error messages, which are one line each.

    Genomes and states become arrays of the evaluator's kind: numpy arrays if `in_numpy`, else tensors on the device.
    """

    layout: BaseLayout
    device: torch.device
    dtype: torch.dtype
    network: str
    in_numpy: bool

    def genomes(self, values: Any) -> Any:
        """Genomes [P, n], checked. Raises EvornnError."""
        is_native = self.in_numpy and type(values) is np.ndarray and values.dtype == np.float32
        g = values if is_native else to_tensor("genomes", values)
        if g.ndim != 2 or g.shape[1] != self.layout.n or len(g) == 0:
            raise EvornnError(
                f"genomes must be [P, n] with P ≥ 1 and n = {self.layout.n} for {self.network}, got {list(g.shape)}"
            )
        return g if isinstance(g, np.ndarray) else self._native(g)

    def genome(self, values: Any) -> Tensor:
        """A genome [n], checked. Raises EvornnError."""
        g = to_tensor("genome", values)
        if g.shape != (self.layout.n,):
            raise EvornnError(f"genome must be [n] with n = {self.layout.n} for {self.network}, got {list(g.shape)}")
        return g.to(self.device, self.dtype)

    def inputs(self, values: Any) -> Tensor:
        """Inputs [B, T, I] or class indices [B, T] below I, checked. Raises EvornnError."""
        x = to_tensor("inputs", values)
        if x.ndim == 2 and not x.is_floating_point() and x.numel():
            return self._classes("inputs", x, self.layout.inputs)
        return self._series("inputs", x, self.layout.inputs)

    def step_mask(self, mask: Any, washout: int, inputs: Tensor) -> Tensor:
        """The steps that count.

        Args:
            mask: [B, T] True or 1 where a step counts, False or 0 elsewhere; None: everywhere.
            washout: Steps at the beginning that never count.
            inputs: [B, T, I] or [B, T], whose shape the mask must fit.

        Returns:
            [B, T] bool.

        Raises:
            EvornnError: The mask has another shape or other values, or no step counts.
        """
        shape = inputs.shape[:2]
        m = torch.ones(shape, dtype=torch.bool) if mask is None else _to_bools(mask)
        if m.shape != shape:
            raise EvornnError(f"mask must be [B, T] = {list(shape)} like the inputs, got {list(m.shape)}")
        if check_integer("washout", washout, minimum=0):
            m = m & (torch.arange(shape[1], device=m.device) >= washout)
        if not m.any():
            raise EvornnError("mask and washout leave no step that counts: lower washout or lengthen the sequences")
        return m.to(self.device)

    def targets(self, values: Any, inputs: Tensor, mask: Tensor) -> Tensor:
        """Targets, checked. Those of steps that don't count may be anything.

        Args:
            values: [B, T, O], or class indices [B, T] below O.
            inputs: [B, T, I] or [B, T], whose batch and time the targets must fit.
            mask: [B, T] True where a step counts.

        Returns:
            [B, T, O] in the network's precision, or class indices [B, T] that are 0 where no step counts.

        Raises:
            EvornnError: The shape or a class index is wrong.
        """
        y, width = to_tensor("targets", values), self.layout.outputs
        if y.ndim == 2 and not y.is_floating_point() and y.shape == mask.shape:
            return self._classes("targets", torch.where(mask, y.to(self.device).long(), 0), width)
        y = self._series("targets", y, width)
        if y.shape[:2] != inputs.shape[:2]:
            raise EvornnError(f"targets {list(y.shape)} and inputs {list(inputs.shape)} differ in batch or time")
        return y

    def _classes(self, name: str, values: Tensor, width: int) -> Tensor:
        """Class indices [B, T] below `width`, the number of inputs or outputs."""
        values = values.to(self.device).long()  # torch has no minimum of some integer types
        if values.min() < 0 or values.max() >= width:
            got = f"{int(values.min())}…{int(values.max())}"
            raise EvornnError(
                f"class indices must lie in 0…{width - 1} for {width} {name.replace('targets', 'outputs')}, got {got}"
            )
        return values

    def state(self, values: Any, members: int, batch: int) -> Any:
        """A state, checked and expanded to all members and sequences.

        Args:
            values: Per layer: state name → [P, B, size]. Leading axes may be missing or of length 1. None: none given.
            members: P.
            batch: B.

        Returns:
            Per layer: state name → [P, B, size]; None where none is given.

        Raises:
            EvornnError: A name is missing, a shape is wrong, or the network has no state to carry over.
        """
        if values is None:
            return None
        names = self.layout.states
        if not names:
            raise EvornnError(f"{self.network} carries no state over: give it whole sequences, and no state")
        layers = [layer for layer in values if isinstance(layer, Mapping)] if isinstance(values, list | tuple) else []
        if len(layers) != self.layout.layers or not all(set(names) <= set(layer) for layer in layers):
            raise EvornnError(f"state must hold {', '.join(names)} for each of {self.layout.layers} layers")
        sizes = [self.layout.carried_sizes(layer) for layer in range(self.layout.layers)]
        return [
            {
                name: self._expand_state(f"state {name}", layer[name], (members, batch, s[name]))
                for name in s
                if name in layer
            }
            for s, layer in zip(sizes, layers, strict=True)
        ]

    def _native(self, values: Tensor) -> Any:
        """An array of the evaluator's kind."""
        values = values.to(self.device, self.dtype)
        return np.ascontiguousarray(values.numpy()) if self.in_numpy else values

    def _expand_state(self, what: str, values: Any, shape: tuple[int, ...]) -> Any:
        value = to_tensor(what, values).to(self.device, self.dtype)
        try:
            expanded = value.expand(shape)
            return expanded.numpy() if self.in_numpy else expanded
        except RuntimeError:
            raise EvornnError(f"{what} must be [P, B, size] = {list(shape)}, got {list(value.shape)}") from None

    def _series(self, name: str, series: Tensor, width: int) -> Tensor:
        if series.ndim != 3 or series.shape[2] != width or 0 in series.shape:
            raise EvornnError(
                f"{name} must be [B, T, {width}] and not empty for {self.network}, got {list(series.shape)}"
            )
        return series.to(self.device, self.dtype)


def to_tensor(what: str, values: Any) -> Tensor:
    """An array of numbers as a tensor without gradient, which may share memory with `values`. Raises EvornnError."""
    if isinstance(values, Tensor) and not values.is_complex():
        return values.detach()
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError
        array = array.astype(array.dtype.newbyteorder("="), "C", copy=False)
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError, RuntimeError):
        raise EvornnError(f"{what} must be an array of numbers, got {_describe(values)}") from None


def check_finite(name: str, series: Tensor, mask: Tensor | None = None) -> None:
    """Check that a series has neither NaN nor infinity.

    Args:
        name: Name of the series in the error message.
        series: [B, T, width], in the network's precision, or class indices [B, T].
        mask: [B, T] True where it must be finite; None: everywhere.

    Raises:
        EvornnError: It has one, or a number that is too large for the precision. The first one is named.
    """
    if not series.is_floating_point():
        return
    bad = ~torch.isfinite(series) if mask is None else ~torch.isfinite(series) & mask[..., None]
    if bad.any():
        place = bad.nonzero()[0].tolist()
        value, precision = float(series[tuple(place)]), str(series.dtype).removeprefix("torch.")
        advice = f"replace it, or set mask{place[:2]} to False" if name == "targets" else "replace it"
        raise EvornnError(f"{name}{place} is {value} in {precision}: {advice}")


def check_integer(what: str, value: Any, minimum: int) -> int:
    """The value as an int, if it is a whole number of at least `minimum`.

    Args:
        what: Name of the value in the error message.
        value: What a user passed.
        minimum: Its lower bound.

    Raises:
        BadSetting: It is anything else; True and False are no numbers.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise BadSetting(what, f"must be a whole number, at least {minimum}, got {value!r}")
    return int(value)


def _to_bools(mask: Any) -> Tensor:
    """A mask of booleans, or of zeros and ones. Raises EvornnError."""
    m = to_tensor("mask", mask)
    bad = (m != 0) & (m != 1)
    if bad.any():
        place = bad.nonzero()[0].tolist()
        raise EvornnError(f"mask{place} is {m[tuple(place)].item()}: must be True or False, steps have no weights")
    return m != 0


def _describe(values: Any) -> str:
    kind = getattr(values, "dtype", None)
    return type(values).__name__ if kind is None else f"{type(values).__name__} of {kind}"


def steps_read(mask: Tensor) -> Tensor:
    """[B, T] True up to the last step that counts, from the mask [B, T]."""
    return mask.flip(1).cumsum(1).flip(1) > 0


def replace_padding(inputs: Tensor, mask: Tensor, padding: float) -> Tensor:
    """Overwrite the inputs after the last step that counts.

    They change no loss, but the gradient of an infinite or undefined value would be undefined.

    Args:
        inputs: [B, T, I], or class indices [B, T].
        mask: [B, T] True where a step counts.
        padding: The new value; class indices become 0.

    Returns:
        The inputs, in the same shape.
    """
    if mask[:, -1].all():
        return inputs
    valid = steps_read(mask)
    return torch.where(valid, inputs, 0) if inputs.ndim == 2 else torch.where(valid[..., None], inputs, padding)
