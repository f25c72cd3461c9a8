"""A network as a plain torch module, for use in any torch code."""

from __future__ import annotations

import torch
from torch import Tensor

from evornn.kernels.evaluate import interpreter
from evornn.layout import BaseLayout


class Module(torch.nn.Module):
    """[B, T, I] → [B, T, O]. Its parameters are the genome's blocks by name ("0_f_x", "readout_weight", …); masked
    weights are flat, as in the genome."""

    def __init__(self, layout: BaseLayout, genome: Tensor) -> None:
        super().__init__()
        self.layout = layout
        for block in layout.blocks.values():
            shape = block.shape if block.mask is None else (block.size,)
            values = genome[block.slice].detach().clone().view(shape)
            self.register_parameter(block.name.replace(".", "_"), torch.nn.Parameter(values))

    def genome(self) -> Tensor:
        """[n] all parameters in the order of the genome."""
        return torch.cat([parameter.flatten() for parameter in self.parameters()])

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, T, I] → [B, T, O]."""
        outputs, _ = interpreter(self.layout, self.genome()[None]).run(inputs)
        return outputs[0]
