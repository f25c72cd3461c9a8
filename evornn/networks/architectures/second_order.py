"""Second-order recurrent network (Giles et al. 1992): hⱼ(t) = f(Σᵢₗ Wⱼᵢₗ hᵢ(t−1) xₗ(t) + bⱼ), yₜ = V hₜ + c."""

from evornn.cell import Cell, Weights
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.ops import Node, outer
from evornn.settings import settings


@settings
class SecondOrder(Cell):
    """Inputs choose the transition between states, like the symbols of an automaton. In the paper f is logistic, inputs
    are one-hot and the first unit starts at 1, which `initial_state: learned` can find. Initial weights U[−1/√H, 1/√H].
    """

    activation: Activation = "sigmoid"

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return ACTIVATIONS[self.activation](w.h(outer(h, x)))
