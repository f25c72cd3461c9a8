"""Sequential cascaded network (Pollack 1991): Wₜ = C [zₜ₋₁; 1], [yₜ; zₜ] = σ(Wₜ [xₜ; 1])."""

from collections.abc import Mapping
from typing import ClassVar

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node, outer, sigmoid
from evornn.settings import settings


@settings
class Cascaded(Cell):
    """The context network C turns the last state z into the weights W of the function network: products of z and x, x,
    z and a bias. Output and new state are both computed from zₜ₋₁ and xₜ; there is no read-out layer, outputs lie in
    (0, 1). `logits` omits their σ, for losses that include it, such as binary_cross_entropy; `activation` is that of
    the state, in the paper logistic. Initial weights U[−1/√H, 1/√H]."""

    state = ("y_", "z")
    sizes: ClassVar[Mapping[str, str]] = {"y_": "outputs"}
    readout = False
    activation: Activation = "sigmoid"  # of z
    logits: bool = False  # outputs without σ

    def step(self, w: Weights, x: Node, z: Node) -> tuple[Node, Node]:
        zx = outer(z, x)
        y = w.y_(zx, x, z)
        return y if self.logits else sigmoid(y), ACTIVATIONS[self.activation](w.z(zx, x, z))
