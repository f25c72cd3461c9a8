"""A network: a cell with its sizes. Its weights are always a population [P, n]; numpy in, numpy out, or torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from evornn.arrays import Batch, Genome, Genomes, Mask, Series, Streams
from evornn.cards import card
from evornn.cell import Cell
from evornn.errors import UnknownName
from evornn.kernels.backend import Backend, evaluator
from evornn.kernels.evaluate import TILE
from evornn.kernels.model import Dimensions, Model, ModelLayout
from evornn.kernels.reference import NetworkState
from evornn.layout import BaseLayout, Layout
from evornn.networks import NETWORKS, Architecture
from evornn.networks.arguments import (
    Arguments,
    check_finite,
    check_integer,
    replace_padding,
    steps_read,
    to_tensor,
)
from evornn.networks.custom_module import CustomModule
from evornn.networks.loss import CustomLoss, check_targets
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

    Genomes and data may be numpy arrays or torch tensors; results are of the same kind as the genomes. Tensors carry
    no gradient: ask `gradients` for it. Data that are evaluated repeatedly are bound once with `objective`.

    Args:
        cell: A name of the catalog such as "lstm", a class of your own as "my_package.my_cell:MyCell", a Cell or Model
            itself, or a torch module of your own, [B, T, I] → [B, T, O] (see `CustomModule`).
        inputs: Number of inputs I.
        units: Number of units H per layer. Left out for an architecture that has none of its own, such as Hopfield.
        outputs: Number of outputs O.
        layers: Number of layers; None: what is usual for the architecture, mostly 1.
        initial_state: State before the first step: "zero", or "learned" as part of the genome.
        device: "cpu", "cuda", "cuda:1", …
        threads: CPU threads that share a population. Their number changes no bit of a result.
        dtype: Precision of the arithmetic; "float64" needs the backend torch.
        backend: "simd" (fused kernels: CPU, float32) or "torch"; "auto" takes simd where it can. The attribute
            `backend` is the choice.
        **settings: Settings of an architecture that is given by its name.

    Raises:
        BadSetting: A size, a setting or the device is invalid; an EvornnError that names it.
    """

    def __init__(
        self,
        cell: str | Architecture | torch.nn.Module,
        inputs: int | None = None,
        units: int | None = None,
        outputs: int | None = None,
        *,
        layers: int | None = None,
        initial_state: Literal["zero", "learned"] = "zero",
        device: str = "cpu",
        threads: int = 1,
        dtype: Literal["float32", "float64"] = "float32",
        backend: Backend = "auto",
        **settings: Any,
    ) -> None:
        self.cell = _architecture(cell, settings)
        for name, count in {"inputs": inputs, "outputs": outputs, "threads": threads}.items():
            if count is None:
                raise BadSetting(f"network.{name}", f"is missing: say how many the network has, such as {name}=1")
            check_integer(f"network.{name}", count, minimum=1)
        assert inputs is not None and outputs is not None
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
        """What computes the network, "simd" or "torch"; recorded with every run."""
        return self.evaluator.name

    def __repr__(self) -> str:
        return f"<{NETWORKS.name_of(self.cell)} {self.layout.size}, {self.n} parameters>"

    def _repr_html_(self) -> str:
        facts = {"genome": f"{self.n:,} parameters", "gradient": "yes" if self.differentiable else "no"}
        return card(f"{NETWORKS.name_of(self.cell)} {self.layout.size}", {**facts, "computed by": self.backend})

    @property
    def differentiable(self) -> bool:
        """Whether its outputs have a gradient."""
        return self.cell.differentiable

    def sample(self, count: int, seed: int) -> Genomes:
        """Draw genomes [count, n] from the architecture's initial distribution; the same seed gives the same ones."""
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
        """Mean losses over all steps that count.

        Steps that don't count change nothing, so their targets may be anything.

        Args:
            genomes: [P, n].
            inputs: [B, T, I], or class indices [B, T] (words, characters, events), the same as one-hot vectors but
                looked up instead of multiplied.
            targets: [B, T, O], or class indices [B, T].
            loss: "mse", "mae", "quantile(0.9)", "poisson", "cross_entropy", "binary_cross_entropy", "zero_one", or a
                function (`evornn.networks.loss.CustomLoss`).
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.
            state: State before the first step, as `predict` returns it; None: the architecture's initial state.

        Returns:
            [P] losses, NaN where a member is not finite.

        Raises:
            EvornnError: Shapes don't fit the network, or no step counts.
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
        """Losses and their gradients by backpropagation through time.

        With `return_state` the sequences may be processed in parts: pass the state to the next call, and
        backpropagation is truncated there, since no gradient flows into a given state.

        Args:
            genomes: [P, n].
            inputs: [B, T, I], or class indices [B, T].
            targets: [B, T, O], or class indices [B, T].
            loss: "mse", "mae", "quantile(0.9)", "poisson", "cross_entropy", "binary_cross_entropy", or a function
                written in torch.
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.
            state: State before the first step; None: the architecture's initial state.
            return_state: Whether to return the state after the last step as well. Inputs after the last step that
                counts are then read, and must be finite.

        Returns:
            [P] losses and [P, n] gradients; with `return_state` also the state, per layer name → [P, B, size].

        Raises:
            EvornnError: Shapes don't fit the network, no step counts, or loss (zero_one, a function of numpy arrays) or
                network has no gradient.
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
        """Losses and their gradients by real-time recurrent learning.

        The state carries its derivatives by all weights along, "∂h" [P, B, size, n] beside "h". Given to the next call,
        it makes gradients reach back to where the first call began. A call costs as much as n + 1 forward passes and is
        computed by torch, whatever the backend.

        Args:
            genomes: [P, n].
            inputs: [B, T, I], or class indices [B, T].
            targets: [B, T, O], or class indices [B, T].
            loss: "mse", "mae", "quantile(0.9)", "poisson", "cross_entropy" or "binary_cross_entropy".
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.
            state: State before the first step, with derivatives from an earlier call; None: the initial state.
            return_state: Whether to return the state after the last step as well, with its derivatives.

        Returns:
            [P] losses and [P, n] gradients; with `return_state` also the state.

        Raises:
            EvornnError: As for `gradients`; or the network is not made of cells, or its derivatives don't fit into
                memory.
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
        """Bind data once and evaluate genomes on it repeatedly.

        `objective.losses(genomes)`, `objective.gradients(genomes)`; on a mini-batch
        `objective.take(rows).losses(genomes)`.

        Args:
            inputs: [B, T, I], or class indices [B, T].
            targets: [B, T, O], or class indices [B, T].
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.
            full_length: Whether inputs after the last step that counts are read as well, for the state there.

        Returns:
            The bound data. Arrays are not always copied, so leave them unchanged while it is in use.

        Raises:
            EvornnError: Shapes don't fit the network, no step counts, or a value that counts is not finite.
        """
        examples = self.evaluator.bind(*self._examples(inputs, targets, mask, washout, full_length))
        return Objective(self.evaluator, self.arguments, examples, self.differentiable)

    def stream(self, cut: Callable[[Batch], tuple[Any, Any, Any]], batch: int, steps: int, count: int) -> Objective:
        """Bind sequences that are cut when they are needed, a part of them at a time. Results have the same bits as
        those of all sequences bound by `objective`, whose checks they must have passed.

        Args:
            cut: Numbers of sequences [K] → their inputs, targets and mask, as for `objective`.
            batch: The number of sequences B.
            steps: Their length T.
            count: The number of steps that count in all of them.
        """

        def make(rows: Batch) -> Any:
            inputs, targets, mask = cut(rows)
            x = self._inputs(inputs)
            counted_mask = self.arguments.step_mask(mask, 0, x)
            x = replace_padding(x, counted_mask, self.layout.padding)
            return self.evaluator.bind(x, self.arguments.targets(targets, x, counted_mask), counted_mask)

        examples = self.evaluator.stream(make, batch, steps, count)
        return Objective(self.evaluator, self.arguments, examples, self.differentiable)

    def check_examples(
        self, inputs: Series | Tensor, targets: Series | Tensor, mask: Mask | Tensor, loss: str | CustomLoss
    ) -> None:
        """Check data without binding them, with the errors of `objective` and of a loss.

        Args:
            inputs: [B, T, I], or class indices [B, T].
            targets: [B, T, O], or class indices [B, T].
            mask: [B, T] True where a step counts.
            loss: A name or a function.

        Raises:
            EvornnError: Shapes don't fit the network, no step counts, a value that counts is not finite, or the loss
                can't have these targets.
        """
        _, y, counted_mask = self._examples(inputs, targets, mask, 0, False)
        check_targets(loss, y, counted_mask, self.layout.outputs)

    def check_targets(self, targets: Series | Tensor, mask: Mask | Tensor, loss: str | CustomLoss) -> None:
        """Check only whether a loss can have these targets, which takes less time than `check_examples`.

        Args:
            targets: [B, T, O], or class indices [B, T].
            mask: [B, T] True where a step counts.
            loss: A name or a function.

        Raises:
            EvornnError: It can't, shapes don't fit the network, or no step counts.
        """
        y = to_tensor("targets", targets)
        counted_mask = self.arguments.step_mask(mask, 0, y)
        check_targets(loss, self.arguments.targets(y, y, counted_mask), counted_mask, self.layout.outputs)

    def _examples(
        self, inputs: Any, targets: Any, mask: Any, washout: int, full_length: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and mask, checked and on the network's device."""
        x = self._inputs(inputs)
        counted_mask = self.arguments.step_mask(mask, washout, x)
        if mask is not None and not (full_length and self.layout.states):
            check_finite("inputs", x, steps_read(counted_mask))  # padding may be anything
            x = replace_padding(x, counted_mask, self.layout.padding)
        else:
            check_finite("inputs", x)
        self.layout.check_inputs(x)
        y = self.arguments.targets(targets, x, counted_mask)
        check_finite("targets", y, counted_mask)
        return x, y, counted_mask

    def predict(
        self,
        genomes: Genomes | Tensor,
        inputs: Series | Tensor,
        *,
        mask: Mask | None = None,
        state: NetworkState | None = None,
        return_state: bool = False,
    ) -> Any:
        """Outputs of all members on all sequences.

        Args:
            genomes: [P, n].
            inputs: [B, T, I], or class indices [B, T].
            mask: [B, T] True where a step counts: what follows a sequence's last such step is padding. None: nothing
                is.
            state: State before the first step, as an earlier call returned it; None: the architecture's initial state.
            return_state: Whether to return the state after the last step as well.

        Returns:
            [P, B, T, O] outputs; with `return_state` also the state, per layer name → [P, B, size].

        Raises:
            EvornnError: Shapes don't fit the network.
        """
        g, x = self.arguments.genomes(genomes), self._inputs(inputs)
        if mask is not None:
            x = replace_padding(x, self.arguments.step_mask(mask, 0, x), self.layout.padding)
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
        """Solve the linear read-out of each genome by ridge regression.

        It minimises mean squared error + ridge·‖weights‖². Where a network feeds its outputs back, the targets are fed
        back instead.

        Args:
            genomes: [P, n], whose read-outs are replaced.
            inputs: [B, T, I], or class indices [B, T].
            targets: [B, T, O], or class indices [B, T].
            ridge: Weight of the penalty, at least 0.
            mask: [B, T] True where a step counts; None: everywhere.
            washout: Steps at the beginning that never count.

        Returns:
            [P, n] the same genomes with the solved read-outs.

        Raises:
            EvornnError: The network has no linear read-out, shapes don't fit, or no step counts.
        """
        return self.objective(inputs, targets, mask, washout).readouts(genomes, ridge=ridge)

    def to_torch(self, genome: Genome | Tensor) -> torch.nn.Module:
        """A plain torch module [B, T, I] → [B, T, O] with the weights of `genome` [n] as named parameters."""
        from evornn.networks.module import Module

        return Module(self.layout, self.arguments.genome(genome))


SIZES: dict[str, Any] = {"units": None, "layers": None, "initial_state": "zero"}  # name → default


def _architecture(cell: str | Architecture | torch.nn.Module, settings: dict[str, Any]) -> Architecture:
    """By its name, or itself; a torch module becomes one. Raises EvornnError for settings that it doesn't have."""
    architecture = CustomModule(cell) if isinstance(cell, torch.nn.Module) else cell
    if isinstance(architecture, Cell | Model):
        if settings:
            raise BadSetting("network", f"{', '.join(settings)}: give settings to the cell itself, or name it")
        return architecture
    try:
        return NETWORKS.build({"kind": cell, **settings}, "network")
    except UnknownName as error:
        sizes = [*SIZES, "inputs", "outputs"] if error.name in settings else []
        raise UnknownName(error.what, error.name, [*sizes, *error.known]) from None


def _form(
    cell: Architecture, inputs: int, units: int | None, outputs: int, layers: int | None, initial_state: Any
) -> BaseLayout:
    """The layout of an architecture at its sizes. Raises BadSetting for one that is wrong, missing, or not used."""
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
