"""A population's losses, gradients and outputs by the interpreter, with the interface of the torch `Evaluator`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from evornn.arrays import Batch, Floats
from evornn.kernels.evaluate import mask_non_finite
from evornn.kernels.examples import one_hot
from evornn.kernels.quantile_levels import quantile_levels
from evornn.kernels.simd.interpreter.loss import CLASSES, EXTERNAL, LOSS_NUMBERS, NONE
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.equation import Equation
from evornn.kernels.simd.programs.memory_layout import Purpose
from evornn.kernels.simd.programs.program import can_look_up
from evornn.kernels.simd.runtime.kernel import Call, Kernel, State, kernel, sum_rounds
from evornn.kernels.simd.runtime.lane_layout import LaneData, LaneExamples, StreamedLanes
from evornn.kernels.simd.runtime.machine_code import address
from evornn.layout import Layout

BY_CLASS = ("cross_entropy", "zero_one")  # losses that read class indices as they are
WORKSPACE_BYTES = 32 * 2**20  # of stored time steps, per thread; longer sequences are recomputed in segments


@dataclass(frozen=True)
class SimdEvaluator:
    """Evaluates one network's genomes [P, n] (numpy, float32) with a number of threads.

    Raises UnsupportedEquation for an equation that the interpreter does not know.
    """

    name: ClassVar[str] = "simd"
    layout: Layout
    threads: int = 1
    workspace_bytes: int = WORKSPACE_BYTES

    def __post_init__(self) -> None:
        Equation(self.layout.trace)

    def load(self) -> None:
        """Load the compiled functions into this process; compile them if this machine has not done so yet."""
        for name in ("execute", "run"):
            address(name)

    @cached_property
    def supports_lookup(self) -> bool:
        """Whether inputs may be class indices: only maps may read them."""
        return can_look_up(self.layout)

    def prepare_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs in the form that this evaluator takes: [B, T, I], or class indices [B, T] where it looks them up."""
        return inputs if inputs.ndim == 3 or self.supports_lookup else one_hot(inputs, self.layout.inputs)

    def stream(self, make: Callable[[Batch], LaneExamples], batch: int, steps: int, count: int) -> StreamedLanes:
        """Sequences that are made when they're needed.

        Args:
            make: numbers of sequences [K] → what `bind` makes of them.
            batch: B.
            steps: T.
            count: steps that count.
        """
        return StreamedLanes(make, batch, steps, count)

    def bind(self, inputs: Tensor, targets: Tensor, mask: Tensor) -> LaneExamples:
        """Sequences in the form that this evaluator takes.

        Args:
            inputs: [B, T, I] or class indices [B, T].
            targets: [B, T, O] or class indices [B, T].
            mask: [B, T] True where a step counts.
        """
        return LaneExamples.from_tensors(inputs, targets, mask)

    def losses(self, genomes: Floats, examples: LaneExamples, loss: str, state: State | None = None) -> Floats:
        """Mean losses over the steps that count.

        Args:
            genomes: [P, n].
            examples: what they are evaluated on.
            loss: its name.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P].
        """
        k, data, call = self._prepare("losses", examples, loss)
        if state is not None:
            call.frames, call.resume = k.frames(state, len(genomes)), True
        return k.run(genomes, data, call, self.threads)[0]

    def gradients(
        self, genomes: Floats, examples: LaneExamples, loss: str, state: State | None = None, carry: bool = False
    ) -> tuple[Floats, Floats, State | None]:
        """Losses and gradients by backpropagation through time. No gradient flows into a state that is given.

        Args:
            genomes: [P, n].
            examples: what they are evaluated on.
            loss: its name.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.
            carry: whether to return the state after the last step.

        Returns:
            [P] losses, [P, n] gradients, and the state or None.
        """
        k, data, call = self._prepare("gradients", examples, loss)
        return self._gradients(k, genomes, data, call, state, carry, len(examples))

    def pull_back(
        self, genomes: Floats, examples: LaneExamples, cotangents: Tensor, state: State | None = None
    ) -> Floats:
        """The gradients of functions of the outputs, one for each member, from their derivatives by the outputs.

        Args:
            genomes: [P, n].
            examples: the inputs.
            cotangents: [P, B, T, O] the derivatives.
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P, n].
        """
        data = examples.data(self.layout.outputs)
        cotangent_lanes = data.lanes.to_lanes(
            np.ascontiguousarray(cotangents.detach().numpy(), np.float32), repeat=False
        )
        call = Call(EXTERNAL, outside=np.ascontiguousarray(cotangent_lanes).ravel())
        unscaled = replace(data, count=1.0)
        k = self._kernel("gradients", data)
        return self._gradients(k, genomes, unscaled, call, state, False, len(examples))[1]

    def _gradients(
        self, k: Kernel, genomes: Floats, data: LaneData, call: Call, state: State | None, carry: bool, batch: int
    ) -> tuple[Floats, Floats, State | None]:
        call.memory = self.workspace_bytes
        frames = k.frames(state, len(genomes)) if carry or state is not None else np.zeros(0, np.float32)
        call.frames, call.resume, call.carry = frames, state is not None, carry
        losses, gradients, _ = k.run(genomes, data, call, self.threads)
        assert gradients is not None
        end = k.states(frames, len(genomes), batch) if carry else None
        return losses, gradients, end

    def outputs(self, genomes: Floats, inputs: Tensor, state: State | None = None) -> tuple[Floats, State]:
        """The outputs of a population.

        Args:
            genomes: [P, n].
            inputs: [B, T, I] or class indices [B, T].
            state: where to start, per layer: state name → [P, B, size]; None: the initial state.

        Returns:
            [P, B, T, O], and the state after the last step.
        """
        batch, steps = inputs.shape[:2]
        nothing = torch.zeros(batch, steps, dtype=torch.int64)
        examples = LaneExamples.from_tensors(inputs, nothing, nothing == 0)
        data = examples.data(self.layout.outputs)
        k = self._kernel("losses", data)
        shape = (*data.lanes.shape(len(genomes)), steps, self.layout.outputs, data.lanes.vectors, LANES)
        buffer = np.empty(shape, np.float32)
        frames = k.frames(state, len(genomes))
        call = Call(NONE, buffer.ravel(), frames, state is not None, True)
        k.run(genomes, data, call, self.threads)
        outputs = data.lanes.from_lanes(buffer, len(genomes), batch)
        return mask_non_finite(genomes, outputs)[0], k.states(frames, len(genomes), batch)

    def products(self, genomes: Floats, examples: LaneExamples) -> tuple[Floats, Floats]:
        """Sums for the read-out, over the steps where the mask is True; fed-back outputs are the targets."""
        data, width = examples.to_dense(self.layout.outputs).data(1), self.layout.width + 1
        k = self._kernel("sums", data)
        packed = k.run(genomes, data, Call(NONE), self.threads)[2]
        sums = self._unpack_sums(k, packed, data)[: len(genomes)]
        return sums[:, :width], sums[:, width:].swapaxes(1, 2)

    def _unpack_sums(self, k: Kernel, packed: np.ndarray, data: LaneData) -> np.ndarray:
        """[groups, rounds, floats] → [P, H + 1 + O, H + 1], rounds added up in order."""
        totals = sum_rounds(packed)
        members, positions = LANES if data.lanes.wide else 1, k.program.sums
        return np.moveaxis(totals.reshape(-1, k.gradient_stride, members)[:, positions], -1, 1).reshape(
            -1, *positions.shape
        )

    def _prepare(self, purpose: Purpose, examples: LaneExamples, loss: str) -> tuple[Kernel, LaneData, Call]:
        """The kernel for a loss, the examples in its lanes, and the call that says which loss it is."""
        data = (examples if loss in BY_CLASS else examples.to_dense(self.layout.outputs)).data(self.layout.outputs)
        if levels := quantile_levels(loss):
            call = Call(
                LOSS_NUMBERS["quantile"],
                outside=np.repeat(np.array(levels, np.float32), self.layout.outputs // len(levels)),
            )
        else:
            call = Call(LOSS_NUMBERS[loss] + (CLASSES if data.class_targets else 0))
        return self._kernel(purpose, data), data, call

    def _kernel(self, purpose: Purpose, data: LaneData) -> Kernel:
        return kernel(self.layout, purpose, data.lanes, data.class_inputs, data.width > self.layout.inputs)
