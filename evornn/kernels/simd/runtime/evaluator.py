"""A population's losses, gradients and outputs by the interpreter, with the interface of the torch `Evaluator`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from evornn.kernels.evaluate import Products, only_finite
from evornn.kernels.examples import one_hot
from evornn.kernels.reference import NetworkState
from evornn.kernels.simd.interpreter.loss import CLASSES, GIVEN, NONE, NUMBERS
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.equation import Equation
from evornn.kernels.simd.programs.program import Purpose, can_look_up
from evornn.kernels.simd.runtime.kernel import Call, Kernel, added_up, kernel, numpy_genomes
from evornn.kernels.simd.runtime.lane_layout import Data, LaneExamples
from evornn.kernels.simd.runtime.machine_code import address
from evornn.layout import Layout

WORKSPACE_BYTES = 32 * 2**20  # of stored time steps, per thread; longer sequences are recomputed in segments


@dataclass(frozen=True)
class SimdEvaluator:
    """Evaluates one network's genomes [P, n] (torch, float32, on the CPU) with a number of threads.

    Raises NotFusable when it is made for an equation that the interpreter does not know."""

    name: ClassVar[str] = "simd"
    layout: Layout
    threads: int = 1
    workspace_bytes: int = WORKSPACE_BYTES

    def __post_init__(self) -> None:
        Equation(self.layout.trace)

    def load(self) -> None:
        """Load what runs programs into this process; compile it, if this machine has not done so yet."""
        for name in ("execute", "run"):
            address(name)

    @cached_property
    def looks_up(self) -> bool:
        """Whether inputs may be class numbers: those of an equation that reads them by maps alone."""
        return can_look_up(self.layout)

    def inputs(self, inputs: Tensor) -> Tensor:
        """Inputs in the form that this evaluator takes: [B, T, I], or class numbers [B, T] where it looks them up."""
        return inputs if inputs.ndim == 3 or self.looks_up else one_hot(inputs, self.layout.inputs)

    def bind(self, inputs: Tensor, targets: Tensor, mask: Tensor) -> LaneExamples:
        """What it is asked about; targets [B, T, O] or class numbers [B, T]."""
        return LaneExamples.of(inputs, targets, mask)

    def losses(self, genomes: Tensor, examples: LaneExamples, loss: str, state: NetworkState | None = None) -> Tensor:
        """[P] mean losses over the steps where the mask is True, from the usual start or a state [P, B, size]."""
        data = self._data(examples, loss)
        k = self._kernel("losses", data)
        call = Call(_number(loss, data))
        if state is not None:
            call.carried, call.resume = k.frames(state, len(genomes)), True
        return torch.from_numpy(k.run(numpy_genomes(genomes), data, call, self.threads)[0])

    def gradients(
        self, genomes: Tensor, examples: LaneExamples, loss: str, state: NetworkState | None = None, carry: bool = False
    ) -> tuple[Tensor, Tensor, NetworkState | None]:
        """[P] losses, [P, n] their gradients by backpropagation through time, and with `carry` the state after the last
        step. No gradient flows into a state that is given, [P, B, size]."""
        data = self._data(examples, loss)
        return self._gradients(genomes, examples, data, Call(_number(loss, data)), state, carry)

    def pull_back(
        self, genomes: Tensor, examples: LaneExamples, cotangents: Tensor, state: NetworkState | None = None
    ) -> Tensor:
        """[P, n] the gradients of functions of the outputs, one for each member, whose derivatives by them are
        `cotangents` [P, B, T, O]."""
        data = examples.data(self.layout.outputs)
        given = data.lanes.into(np.ascontiguousarray(cotangents.detach().numpy(), np.float32), repeat=False)
        call = Call(GIVEN, given=np.ascontiguousarray(given).ravel())
        whole = replace(data, count=1.0)
        return self._gradients(genomes, examples, whole, call, state, False)[1]

    def _gradients(
        self, genomes: Tensor, examples: LaneExamples, data: Data, call: Call, state: NetworkState | None, carry: bool
    ) -> tuple[Tensor, Tensor, NetworkState | None]:
        k = self._kernel("gradients", data)
        call.memory = self.workspace_bytes
        frames = k.frames(state, len(genomes)) if carry or state is not None else np.zeros(0, np.float32)
        call.carried, call.resume, call.carry = frames, state is not None, carry
        losses, gradients, _ = k.run(numpy_genomes(genomes), data, call, self.threads)
        end = k.states(frames, len(genomes), len(examples)) if carry else None
        return torch.from_numpy(losses), torch.from_numpy(gradients), end

    def outputs(
        self, genomes: Tensor, inputs: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """[P, B, T, O] and the state after the last step; a state that is given holds [P, B, size]."""
        batch, steps = inputs.shape[:2]
        nothing = torch.zeros(batch, steps, dtype=torch.int64)
        examples = LaneExamples.of(inputs, nothing, nothing == 0)
        data = examples.data(self.layout.outputs)
        k = self._kernel("losses", data)
        shape = (*data.lanes.shape(len(genomes)), steps, self.layout.outputs, data.lanes.vectors, LANES)
        kept = np.empty(shape, np.float32)
        frames = k.frames(state, len(genomes))
        call = Call(NONE, kept.ravel(), frames, state is not None, True)
        k.run(numpy_genomes(genomes), data, call, self.threads)
        found = torch.from_numpy(data.lanes.out(kept, len(genomes), batch))
        return only_finite(genomes, found)[0], k.states(frames, len(genomes), batch)

    def products(self, genomes: Tensor, examples: LaneExamples) -> Products:
        """Sums for the read-out, over the steps where the mask is True; fed-back outputs are the targets."""
        data, width = examples.dense(self.layout.outputs).data(1), self.layout.width + 1
        k = self._kernel("sums", data)
        packed = k.run(numpy_genomes(genomes), data, Call(NONE), self.threads)[2]
        sums = torch.from_numpy(self._unpacked(k, packed, data)[: len(genomes)])
        return sums[:, :width], sums[:, width:].mT

    def _unpacked(self, k: Kernel, packed: np.ndarray, data: Data) -> np.ndarray:
        """[groups, rounds, floats] → [P, H + 1 + O, H + 1], rounds added up in order."""
        whole = added_up(packed)
        members, places = LANES if data.lanes.wide else 1, k.program.sums
        return np.moveaxis(whole.reshape(-1, k.gtwin, members)[:, places], -1, 1).reshape(-1, *places.shape)

    def _data(self, examples: LaneExamples, loss: str) -> Data:
        by_class = loss in ("cross_entropy", "zero_one")
        return (examples if by_class else examples.dense(self.layout.outputs)).data(self.layout.outputs)

    def _kernel(self, purpose: Purpose, data: Data) -> Kernel:
        return kernel(self.layout, purpose, data.lanes, data.looked_up)


def _number(loss: str, data: Data) -> int:
    return NUMBERS[loss] + (CLASSES if data.classes else 0)
