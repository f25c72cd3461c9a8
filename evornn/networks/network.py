"""A network: a cell with its sizes. Its weights are always a population [P, n]; numpy in, numpy out, or torch."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from evornn.arrays import Genome, Genomes, Mask, Series, Streams
from evornn.cell import Cell
from evornn.kernels.backend import Backend, evaluator
from evornn.kernels.evaluate import TILE
from evornn.kernels.model import Dimensions, Model, ModelLayout
from evornn.kernels.reference import NetworkState
from evornn.layout import BaseLayout, Layout
from evornn.networks import NETWORKS, Architecture
from evornn.networks.arguments import Arguments, check_integer, replace_padding
from evornn.networks.loss import CustomLoss
from evornn.networks.objective import Objective, match_state_type, match_type
from evornn.settings import BadSetting


class Network:
    """A recurrent architecture at a given size, evaluated for whole populations of genomes [P, n] float32.

    >>> import numpy as np
    >>> network = Network("elman", inputs=1, units=4, outputs=1)
    >>> genomes = network.sample(count=3, seed=0)
    >>> genomes.shape == (3, network.n)
    True
    >>> network.predict(genomes, np.zeros((2, 5, 1))).shape   # [P, B, T, O]
    (3, 2, 5, 1)

    `cell` is a catalog name, or `my_package.my_cell:MyCell` for one of your own, with its settings as further keywords;
    or a ready Cell or Model. Sizes that an architecture has no use for (a Hopfield network has no units of its own) are
    left out; `layers` is by default what is usual for it, mostly 1. `device` is where it is computed: "cpu", "cuda",
    "cuda:1", … `threads` is how many CPU threads share a population; it changes no bit of the result. `backend` is
    auto, simd (fused kernels: CPU, float32) or torch; `backend` tells which it became.
    """

    def __init__(
        self,
        cell: str | Architecture,
        *,
        inputs: int,
        units: int | None = None,
        outputs: int,
        layers: int | None = None,
        initial_state: Literal["zero", "learned"] = "zero",
        device: str = "cpu",
        threads: int = 1,
        dtype: Literal["float32", "float64"] = "float32",
        backend: Backend = "auto",
        **settings: Any,
    ) -> None:
        if isinstance(cell, Cell | Model) and settings:
            raise BadSetting("network", f"{', '.join(settings)}: give settings to the cell itself, or name it")
        self.cell = cell if isinstance(cell, Cell | Model) else NETWORKS.build({"kind": cell, **settings}, "network")
        for name, count in {"inputs": inputs, "outputs": outputs, "threads": threads}.items():
            check_integer(f"network.{name}", count, minimum=1)
        if dtype not in ("float32", "float64"):
            raise BadSetting("network.dtype", f"must be float32 or float64, got {dtype!r}")
        if backend not in ("auto", "simd", "torch"):
            raise BadSetting("network.backend", f"must be auto, simd or torch, got {backend!r}")
        self.layout = _form(self.cell, inputs, units, outputs, layers, initial_state)
        self.device, self.dtype = _device(device), getattr(torch, dtype)
        self.evaluator = evaluator(self.layout, threads, backend, self.device, self.dtype)
        in_numpy = self.evaluator.name == "simd"
        self.arguments = Arguments(self.layout, self.device, self.dtype, repr(self), in_numpy)

    @property
    def n(self) -> int:
        """Parameters of one network."""
        return self.layout.n

    @property
    def backend(self) -> str:
        """What really computes: recorded with every run."""
        return self.evaluator.name

    def __repr__(self) -> str:
        return f"<{NETWORKS.name_of(self.cell)} {self.layout.size}, {self.n} parameters>"

    @property
    def differentiable(self) -> bool:
        """Whether its outputs have a gradient."""
        return self.cell.differentiable

    def sample(self, count: int, seed: int) -> Genomes:
        """[count, n] genomes from the architecture's initial distribution."""
        rng = Streams(check_integer("seed", seed, minimum=0), "sample").at(0)
        return self.layout.sample(check_integer("count", count, minimum=1), rng)

    def losses(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        loss: str | CustomLoss = "mse",
        mask: Mask | Tensor | None = None,
        washout: int = 0,
        state: NetworkState | None = None,
    ) -> Any:
        """[P] mean loss over all steps where `mask` [B, T] is True (None: all), without the first `washout` steps.

        inputs [B, T, I] or class indices [B, T] (words, characters, events: the same as one-hot, but looked up, not
        multiplied), targets [B, T, O] or class indices [B, T]. `loss` is mse, cross_entropy, binary_cross_entropy,
        zero_one or a function of your own (`OwnLoss`). A member that is not finite has loss
        NaN. What does not count, targets there included, changes nothing. `state`: where to begin, as from `predict`.
        """
        return self.objective(inputs, targets, mask, washout).losses(genomes, loss=loss, state=state)

    def gradients(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        loss: str | CustomLoss = "mse",
        mask: Mask | Tensor | None = None,
        washout: int = 0,
        state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:
        """([P] losses, [P, n] gradients) by backpropagation through time; arguments as for `losses`.

        With `return_state` also the state after the last step: given to the next call, which goes on with the next part
        of the sequences, it makes backpropagation truncated (no gradient flows into a state that is given). The inputs
        after the last step that counts are then read as well, for that state, and must be numbers.
        A `loss` of your own has a gradient where it is written in torch. Raises EvornnError for a loss without one
        (zero_one, a function on numpy's arrays), or such a network.
        """
        objective = self.objective(inputs, targets, mask, washout, return_state)
        return objective.gradients(genomes, loss=loss, state=state, return_state=return_state)

    def sensitivities(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        loss: str = "mse",
        mask: Mask | Tensor | None = None,
        washout: int = 0,
        state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:
        """`gradients` by real-time recurrent learning: with the `state` of an earlier call, whose derivatives by all
        weights ("∂h" [P, B, size, n]) it holds too, they reach back to where the first call began. It costs as much as
        n + 1 forward passes and is computed by torch, whatever the backend.

        Raises EvornnError also for networks that are made of no cells, or would not fit into memory.
        """
        objective = self.objective(inputs, targets, mask, washout, return_state)
        return objective.sensitivities(genomes, loss=loss, state=state, return_state=return_state)

    def objective(
        self,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        mask: Mask | Tensor | None = None,
        washout: int = 0,
        full_length: bool = False,
    ) -> Objective:
        """Bind data once and evaluate it repeatedly: `objective.losses(genomes)`, `objective.gradients(genomes)`, on a
        mini-batch `objective.take(rows).losses(genomes)`.

        Args:
            inputs: [B, T, I], or class numbers [B, T].
            targets: [B, T, O], or class numbers [B, T].
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.
            full_length: Whether inputs after the last step that counts are read as well, for the state there.

        Returns:
            The bound data. Arrays are not always copied: leave them unchanged while it is in use.

        Raises:
            EvornnError: Shapes don't fit the network, or no step counts.
        """
        x = self._inputs(inputs)
        counted_mask = self.arguments.step_mask(mask, washout, x)
        if mask is not None and not (full_length and self.layout.states):
            x = replace_padding(x, counted_mask, self.layout.padding)
        self.layout.check_inputs(x)
        examples = self.evaluator.bind(x, self.arguments.targets(targets, x, counted_mask), counted_mask)
        return Objective(self.evaluator, self.arguments, examples, self.differentiable)

    def predict(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        *,
        state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:
        """Outputs [P, B, T, O]; with `return_state` also the state after the last step, which as `state` of a later
        call carries it over (None: the architecture's initial state)."""
        g, x = self.arguments.genomes(genomes), self._inputs(inputs)
        self.layout.check_inputs(x)
        outputs, end = self.evaluator.outputs(g, x, self.arguments.state(state, len(g), len(x)))
        answer = match_type(genomes, outputs)
        return (answer, match_state_type(genomes, end)) if return_state else answer

    def _inputs(self, values: Series | Tensor) -> Tensor:
        """[B, T, I], or class indices [B, T] where the evaluator looks them up."""
        x = self.evaluator.prepare_inputs(self.arguments.inputs(values))
        return x if x.ndim == 2 else x.to(self.device, self.dtype)

    def readouts(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        targets: Series | Tensor,
        *,
        ridge: float = 1e-6,
        mask: Mask | Tensor | None = None,
        washout: int = 0,
    ) -> Any:
        """[P, n] the same genomes, each with the read-out that is best for it: the solution of a ridge regression,
        mean squared error + ridge·‖weights‖². Where outputs are fed back, the targets are, in their place.

        Raises EvornnError for a network without a linear read-out.
        """
        return self.objective(inputs, targets, mask, washout).readouts(genomes, ridge=ridge)

    def to_torch(self, genome: Genome | Tensor) -> torch.nn.Module:
        """A plain torch module [B, T, I] → [B, T, O] with this genome's weights as named parameters."""
        from evornn.networks.module import Module

        return Module(self.layout, self.arguments.genome(genome))


SIZES: dict[str, Any] = {"units": None, "layers": None, "initial_state": "zero"}  # name → when nothing is said


def _form(
    cell: Architecture, inputs: int, units: int | None, outputs: int, layers: int | None, initial_state: Any
) -> BaseLayout:
    """The network at its size. Raises BadSetting where one is wrong, missing, or of no use to the architecture."""
    given = {"units": units, "layers": layers, "initial_state": initial_state}
    for name in SIZES:
        if name not in cell.size_fields and given[name] != SIZES[name]:
            raise BadSetting(f"network.{name}", f"{NETWORKS.name_of(cell)} has no use for it: leave it out")
    if initial_state not in ("zero", "learned"):
        raise BadSetting("network.initial_state", f"must be zero or learned, got {initial_state!r}")
    units = check_integer("network.units", units, minimum=1) if "units" in cell.size_fields else 1
    layers = cell.default_layers if layers is None else check_integer("network.layers", layers, minimum=1)
    if isinstance(cell, Cell):
        return Layout(cell, inputs, units, outputs, layers, initial_state)
    return ModelLayout(cell, Dimensions(inputs, units, outputs, layers, initial_state))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in TILE:
        raise BadSetting("network.device", f"must be cpu, cuda, cuda:1, …, got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadSetting("network.device", "no CUDA device here: use cpu, or run where there is a GPU")
    if (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise BadSetting("network.device", f"there are {torch.cuda.device_count()} CUDA devices, got {name!r}")
    return device
