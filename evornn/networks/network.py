"""A network: a cell with its sizes. Its weights are always a population [P, n]; arrays in, arrays out (numpy or torch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Floats, Genome, Genomes, Losses, Mask, Series, Streams
from evornn.cell import Cell
from evornn.errors import EvornnError
from evornn.kernels.evaluate import Evaluator
from evornn.kernels.losses import PER_STEP, WITHOUT_GRADIENT
from evornn.kernels.reference import NetworkState
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.settings import BadSetting

OwnLoss: TypeAlias = Callable[[Floats, Series, Mask], Losses]
"""A user's loss: outputs [P, B, T, O], targets [B, T, O], mask [B, T] → [P]. It has no gradient."""


class Network:
    """A recurrent architecture at a given size, evaluated for whole populations of genomes [P, n] float32.

    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> genomes = network.sample(count=3, seed=0)
    >>> genomes.shape == (3, network.n)
    True
    >>> network.predict(genomes, np.zeros((2, 5, 1))).shape   # [P, B, T, O]
    (3, 2, 5, 1)

    `cell` is a catalog name with its settings as further keywords, or a Cell. `device` is where it is computed: "cpu",
    "cuda", "cuda:1", … `threads` is how many CPU threads share a population; it changes no bit of the result.
    """

    def __init__(
        self,
        cell: str | Cell,
        *,
        inputs: int,
        units: int,
        outputs: int,
        layers: int = 1,
        initial_state: Literal["zero", "learned"] = "zero",
        device: str = "cpu",
        threads: int = 1,
        dtype: Literal["float32", "float64"] = "float32",
        **settings: Any,
    ) -> None:
        for name, size in (("inputs", inputs), ("units", units), ("outputs", outputs), ("layers", layers), ("threads", threads)):
            if size < 1:
                raise BadSetting(f"network.{name}", f"must be at least 1, got {size}")
        if initial_state not in ("zero", "learned"):
            raise BadSetting("network.initial_state", f"must be zero or learned, got {initial_state!r}")
        self.cell = cell if isinstance(cell, Cell) else CELLS.build({"kind": cell, **settings}, "network")
        self.layout = Layout(self.cell, inputs, units, outputs, layers, initial_state)
        self.device, self.dtype = _device(device), getattr(torch, dtype)
        self.evaluator = Evaluator(self.layout, threads)

    @property
    def n(self) -> int:
        """Parameters of one network."""
        return self.layout.n

    @property
    def backend_used(self) -> str:
        """What really computes: recorded with every run."""
        return "torch"

    def __repr__(self) -> str:
        size = f"{self.layout.inputs}→{'→'.join([str(self.layout.units)] * self.layout.layers)}→{self.layout.outputs}"
        return f"<{CELLS.name_of(self.cell)} {size}, {self.n} parameters>"

    def sample(self, count: int, seed: int) -> Genomes:
        """[count, n] genomes from the architecture's initial distribution."""
        return self.layout.sample(count, Streams(seed, "sample").at(0))

    def losses(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        loss: str | OwnLoss = "mse",
        mask: Mask | Tensor | None = None,
        washout: int = 0,
    ) -> Any:
        """[P] mean loss over all steps where `mask` [B, T] is True (None: all), without the first `washout` steps.

        inputs [B, T, I], targets [B, T, O]; for cross_entropy and zero_one also class numbers [B, T]. `loss` is mse,
        cross_entropy, binary_cross_entropy, zero_one or a function of your own. A member that is not finite has loss NaN.
        """
        g, x, y, m = self._arguments(genomes, inputs, targets, mask, washout)
        if not isinstance(loss, str):
            outputs, _ = self.evaluator.outputs(g, x)
            return _like(genomes, np.asarray(loss(outputs.cpu().numpy(), y.cpu().numpy(), m.cpu().numpy()), np.float32))
        return _like(genomes, self.evaluator.losses(g, x, y, m, loss))

    def gradients(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        loss: str = "mse",
        mask: Mask | Tensor | None = None,
        washout: int = 0,
    ) -> Any:
        """([P] losses, [P, n] gradients) by backpropagation through time; arguments as for `losses`.

        Raises EvornnError for a loss without a gradient (zero_one, a function of your own).
        """
        if not has_gradient(loss):
            raise EvornnError(f"the loss {loss!r} has no gradient: train it by evolution, or use one of {', '.join(DIFFERENTIABLE)}")
        g, x, y, m = self._arguments(genomes, inputs, targets, mask, washout)
        values, gradients = self.evaluator.gradients(g, x, y, m, loss)
        return _like(genomes, values), _like(genomes, gradients)

    def predict(
        self, genomes: Genomes | Tensor, inputs: Series | Tensor, *, state: NetworkState | None = None, return_state: bool = False
    ) -> Any:
        """Outputs [P, B, T, O]; with `return_state` also the state after the last step, which as `state` of a later
        call carries it over (None: the architecture's initial state)."""
        g, x = self._genomes(genomes), self._series("inputs", inputs, self.layout.inputs)
        given = None if state is None else [{k: torch.as_tensor(v).to(g) for k, v in layer.items()} for layer in state]
        outputs, end = self.evaluator.outputs(g, x, given)
        ends = [{k: _like(genomes, v) for k, v in layer.items()} for layer in end]
        return (_like(genomes, outputs), ends) if return_state else _like(genomes, outputs)

    def to_torch(self, genome: Genome | Tensor) -> torch.nn.Module:
        """A plain torch module [B, T, I] → [B, T, O] with this genome's weights as named parameters."""
        from evornn.networks.module import Module

        return Module(self.layout, self._genomes(torch.as_tensor(genome)[None])[0])

    # ---- arguments, checked and on the device ------------------------------------------------------------------

    def _arguments(self, genomes: Any, inputs: Any, targets: Any, mask: Any, washout: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        g, x = self._genomes(genomes), self._series("inputs", inputs, self.layout.inputs)
        y = self._targets(targets, x)
        m = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else torch.as_tensor(mask).bool()
        if m.shape != x.shape[:2]:
            raise EvornnError(f"mask must be [B, T] = {list(x.shape[:2])} like the inputs, got {list(m.shape)}")
        m = m.to(self.device).clone()
        m[:, :washout] = False
        if not m.any():
            raise EvornnError("mask and washout leave no step that counts: lower washout or lengthen the sequences")
        return g, x, y, m

    def _genomes(self, genomes: Any) -> Tensor:
        g = torch.as_tensor(genomes)
        if g.ndim != 2 or g.shape[1] != self.n:
            raise EvornnError(f"genomes must be [P, n] with n = {self.n} for {self!r}, got {list(g.shape)}")
        return g.to(self.device, self.dtype)

    def _series(self, name: str, values: Any, width: int) -> Tensor:
        series = torch.as_tensor(values)
        if series.ndim != 3 or series.shape[2] != width or 0 in series.shape:
            raise EvornnError(f"{name} must be [B, T, {width}] and not empty for {self!r}, got {list(series.shape)}")
        return series.to(self.device, self.dtype)

    def _targets(self, targets: Any, x: Tensor) -> Tensor:
        y, width = torch.as_tensor(targets), self.layout.outputs
        if y.ndim == 2 and not y.is_floating_point():
            if y.min() < 0 or y.max() >= width:
                raise EvornnError(f"class numbers must lie in 0…{width - 1} for {width} outputs, got {int(y.min())}…{int(y.max())}")
            y = torch.nn.functional.one_hot(y.long(), width)
        y = self._series("targets", y, width)
        if y.shape[:2] != x.shape[:2]:
            raise EvornnError(f"targets {list(y.shape)} and inputs {list(x.shape)} differ in batch or time")
        return y


DIFFERENTIABLE = [name for name in PER_STEP if name not in WITHOUT_GRADIENT]


def has_gradient(loss: str | OwnLoss) -> bool:
    return isinstance(loss, str) and loss not in WITHOUT_GRADIENT


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BadSetting("network.device", "no CUDA device here: use cpu, or run where there is a GPU")
    return torch.device(name)


def _like(example: Any, result: Any) -> Any:
    """numpy for numpy, torch for torch."""
    if isinstance(example, Tensor):
        return torch.as_tensor(result)
    return result.cpu().numpy() if isinstance(result, Tensor) else result
