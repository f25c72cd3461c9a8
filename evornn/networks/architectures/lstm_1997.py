"""The first LSTM (Hochreiter & Schmidhuber 1997): with r = [xₜ; hₜ₋₁; iₜ₋₁; oₜ₋₁], per block of S cells

i, o = σ(W r + b), z = 4σ(W r + b) − 2, cₜ = cₜ₋₁ + i⊙z, hₜ = o⊙(2σ(cₜ) − 1), yₜ = V hₜ + b.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt

from evornn.cell import Cell, Uniform, Weights
from evornn.errors import EvornnError
from evornn.ops import Node, Sizes, repeat, sigmoid, stop_gradient
from evornn.settings import settings


@settings
class LSTM1997(Cell):
    """No forget gate; the S cells of a block share its gates, and gates feed everything. Gradients are `truncated` as
    in the paper, none flows through r but to the weights and the layer below, unless that is set to false. The
    squashing functions are those of the paper's text: g in (−2, 2), h in (−1, 1) (its table 10 has them the other way
    round).

    `biased: gates` leaves out the biases of cells and outputs, as in the paper's Reber experiments. Its outputs are
    logistic, ours linear. Initial weights U[−initial_range, initial_range]; the gates' biases of block k = 1, 2, … are
    shifted by k·input_gate_bias and k·output_gate_bias, say −3: −3, −6, …"""

    state = ("h", "c", "i", "o")
    sizes: ClassVar[Mapping[str, str]] = {"i": "blocks", "o": "blocks"}
    block_size: Annotated[int, Ge(1)] = 1
    truncated: bool = True
    biased: Literal["all", "gates"] = "all"
    initial_range: Annotated[float, Gt(0)] = 0.1
    input_gate_bias: float = 0.0
    output_gate_bias: float = 0.0

    @property
    def readout_bias(self) -> bool:
        return self.biased == "all"

    def extents(self, sizes: Sizes) -> Mapping[str, int]:
        if sizes["units"] % self.block_size:
            raise EvornnError(f"units must be a multiple of block_size = {self.block_size}, got {sizes['units']}")
        return {"blocks": sizes["units"] // self.block_size}

    def step(self, w: Weights, x: Node, h: Node, c: Node, i: Node, o: Node) -> tuple[Node, ...]:
        last = (x, stop_gradient(h), stop_gradient(i), stop_gradient(o)) if self.truncated else (x, h, i, o)
        i, o = sigmoid(w.i(*last)), sigmoid(w.o(*last))
        c = c + repeat(i) * (4 * sigmoid(w.z(*last, bias=self.biased == "all")) - 2)
        return repeat(o) * (2 * sigmoid(c) - 1), c, i, o

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        usual = Uniform(-self.initial_range, self.initial_range)
        shift = {"i": self.input_gate_bias, "o": self.output_gate_bias}.get(name, 0.0)
        return usual.shift(shift * np.arange(1.0, sizes["blocks"] + 1)) if part == "bias" and shift else usual
