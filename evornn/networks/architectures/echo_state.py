"""Echo state network (Jaeger 2001; leaky units of Jaeger et al. 2007):

hₜ = (1−a) hₜ₋₁ + a f(W_in xₜ + W hₜ₋₁ + W_back yₜ₋₁), yₜ = V hₜ + c; W_in, W, W_back are random and fixed.
"""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from evornn.arrays import Floats, Streams
from evornn.cell import Cell, Uniform, Weights
from evornn.errors import EvornnError
from evornn.networks.activation import ACTIVATIONS, Activation
from evornn.networks.ranges import map_to_range
from evornn.networks.reservoir import recurrent_weights, uniform_weights
from evornn.ops import Node, Sizes, Value
from evornn.settings import settings

SPAN = 5.0  # the factor by which an evolved scale may become smaller or larger


@settings
class EchoState(Cell):
    """A fixed random reservoir: the genome is the read-out alone, which sees the units but not the input, and which the
    trainer `ridge` solves. W_in is U[−1, 1] times `input_scale`, W_back the same times `feedback` (0: no output is fed
    back), W has a share `density` of connections and the `spectral_radius`. Another `reservoir` is another draw of all
    three. A scale in `evolved` has a parameter p: it is the setting times (1/5)·25^σ(p); a leak stays between a fifth
    of the setting and at most 1. Initial weights of the read-out U[−1/√H, 1/√H], p in U[−2, 2], which covers most of
    its range."""

    sizes = dict.fromkeys(("input_scale", "spectral_radius", "feedback", "leak"), "one")
    reservoir: Annotated[int, Ge(0)] = 0
    spectral_radius: Annotated[float, Gt(0)] = 0.9
    density: Annotated[float, Gt(0), Le(1)] = 1.0
    input_scale: Annotated[float, Gt(0)] = 1.0
    feedback: Annotated[float, Ge(0)] = 0.0
    leak: Annotated[float, Gt(0), Le(1)] = 1.0
    evolved: tuple[Literal["spectral_radius", "input_scale", "feedback", "leak"], ...] = ()
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        if "feedback" in self.evolved and not self.feedback:
            raise EvornnError("echo_state can't evolve a feedback of 0: set feedback to the middle of its range")

    def step(self, w: Weights, x: Node, y: Node, h: Node) -> Node:
        # scaling a source is the same as scaling its fixed weights, and keeps the scale differentiable
        sources = {"input_scale": x, "spectral_radius": h, **({"feedback": y} if self.feedback else {})}
        evolved, low, high = self.evolved, self.leak / SPAN, min(1.0, self.leak * SPAN)
        scaled = [map_to_range(getattr(w, s), 1 / SPAN, SPAN) * v if s in evolved else v for s, v in sources.items()]
        leak: Value = map_to_range(w.leak, low, high) if "leak" in evolved else self.leak
        return (1 - leak) * h + leak * ACTIVATIONS[self.activation](w.h(*scaled, bias=False))

    def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> Floats:
        streams, units = Streams(self.reservoir, "echo_state").child(f"layer {layer}"), sizes["units"]
        if source == 1:
            return recurrent_weights(units, self.density, self.spectral_radius, streams.child("W"))
        scale, columns = (self.input_scale, "inputs") if source == 0 else (self.feedback, "outputs")
        return uniform_weights(units, sizes[columns], scale, streams.child(columns))

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-2.0, 2.0)
