"""Every further gated cell of the literature in evornn's notation, and each one's equation as the body of a plain loop.

`CELLS` holds the cells, `BY_HAND` the same steps for one sequence in numpy: `f(a, v, x, y, t, s)` takes an affine map
`a(name, *sources)`, a vector of parameters `v(name)`, the input, the last output, the time and the last states, and
returns the new states and what the read-out sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_types import Ge

from evornn.cell import Cell, Weights
from evornn.errors import EvornnError
from evornn.ops import Node, Sizes, constant, every, exp, outer, sigmoid, spread, stop, tanh, where
from evornn.settings import settings


@settings
class Jordan(Cell):
    """Jordan 1986: sₜ = α sₜ₋₁ + yₜ₋₁, hₜ = f(W xₜ + U sₜ + b)."""

    state = ("h", "s")
    sizes = {"s": "outputs"}  # noqa: RUF012
    alpha: float = 0.5

    def step(self, w: Weights, x: Node, y: Node, s: Node) -> tuple[Node, Node]:
        s = self.alpha * s + y
        return tanh(w.h(x, s)), s


@settings
class SecondOrder(Cell):
    """Giles et al. 1992: hⱼ = σ(Σᵢₗ Wⱼᵢₗ hᵢ xₗ + bⱼ)."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return sigmoid(w.h(outer(h, x)))


@settings
class Cascaded(Cell):
    """Pollack 1987: Wₜ = C [zₜ₋₁; 1], zₜ = σ(Wₜ [xₜ; 1]); y likewise, from the same zₜ₋₁ and xₜ."""

    state = ("out", "z")
    sizes = {"out": "outputs"}  # noqa: RUF012
    readout = False

    def step(self, w: Weights, x: Node, z: Node) -> tuple[Node, Node]:
        zx = outer(z, x)
        return sigmoid(w.out(zx, x, z)), sigmoid(w.z(zx, x, z))


@settings
class CTRNNExponential(Cell):
    """Beer 1995 with gains, exponential Euler: exact for a constant target."""

    state = ("u",)
    dt: float = 0.1

    def output(self, w: Weights, u: Node) -> Node:
        return sigmoid(w.gain * (u + w.theta))

    def step(self, w: Weights, x: Node, u: Node) -> Node:
        target = w.u(x, self.output(w, u), bias=False)
        return target + (u - target) * exp(-self.dt * exp(w.rate))


@settings
class CTRNNNeat(Cell):
    """neat-python's form: the activation outside of the sum."""

    dt: float = 0.1

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        return h + self.dt * exp(w.rate) * (tanh(w.h(x, h)) - h)


def groups(units: int) -> np.ndarray:
    """[H] input–output, fast and slow units: 0, 1, 2."""
    return np.repeat([0, 1, 2], [units - units // 2, units // 4, units // 2 - units // 4])


@settings
class MTRNN(Cell):
    """Yamashita & Tani 2008: u ← (1 − 1/τ) u + (1/τ)(W x + U h + b), h = tanh u, τ by group, slow ↔ fast ↔ io only."""

    state = ("u",)

    def output(self, w: Weights, u: Node) -> Node:
        return tanh(u)

    def step(self, w: Weights, x: Node, u: Node) -> Node:
        rate = constant(lambda sizes: 1 / np.array([2.0, 5.0, 70.0])[groups(sizes["units"])])
        return (1 - rate) * u + rate * w.u(x, self.output(w, u))

    def mask(self, name: str, source: int, sizes: Sizes) -> np.ndarray:
        g = groups(sizes["units"])
        io = np.broadcast_to((g == 0)[:, None], (len(g), sizes["inputs"]))
        return io if source == 0 else np.abs(g[:, None] - g[None, :]) <= 1


@settings
class PeepholeLSTM(Cell):
    """Gers & Schmidhuber 2000; the switches give the eight variants of Greff et al. 2015 but FGR."""

    state = ("h", "c")
    without: str = ""

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, Node]:
        i = 1.0 if self.without == "i" else sigmoid(w.i(x, h) + w.pi * c)
        f = 1 - i if self.without == "coupled" else 1.0 if self.without == "f" else sigmoid(w.f(x, h) + w.pf * c)
        z = w.z(x, h) if self.without == "g" else tanh(w.z(x, h))
        c = f * c + i * z
        o = 1.0 if self.without == "o" else sigmoid(w.o(x, h) + w.po * c)
        return o * (c if self.without == "out" else tanh(c)), c


@settings
class FGR(Cell):
    """Full gate recurrence (Greff et al. 2015): all gates also see all gates' previous activations."""

    state = ("h", "c", "i", "f", "o")

    def step(self, w: Weights, x: Node, h: Node, c: Node, i: Node, f: Node, o: Node) -> tuple[Node, ...]:
        gates = (i, f, o)
        i, f = sigmoid(w.i(x, h, *gates) + w.pi * c), sigmoid(w.f(x, h, *gates) + w.pf * c)
        c = f * c + i * tanh(w.z(x, h))
        o = sigmoid(w.o(x, h, *gates) + w.po * c)
        return o * tanh(c), c, i, f, o


@settings
class LSTM1997(Cell):
    """Hochreiter & Schmidhuber 1997: blocks of cells share gates, gates feed everything, the gradient is truncated."""

    state = ("h", "c", "i", "o")
    sizes = {"i": "blocks", "o": "blocks"}  # noqa: RUF012
    per_block: Annotated[int, Ge(1)] = 2
    cell_bias: bool = False
    truncated: bool = True

    def extents(self, sizes: Sizes) -> Mapping[str, int]:
        if sizes["units"] % self.per_block:
            raise EvornnError(f"units must be a multiple of per_block = {self.per_block}, got {sizes['units']}")
        return {"blocks": sizes["units"] // self.per_block}

    def step(self, w: Weights, x: Node, h: Node, c: Node, i: Node, o: Node) -> tuple[Node, ...]:
        last = (x, stop(h), stop(i), stop(o)) if self.truncated else (x, h, i, o)
        i, o = sigmoid(w.i(*last)), sigmoid(w.o(*last))
        c = c + spread(i) * (4 * sigmoid(w.z(*last, bias=self.cell_bias)) - 2)
        return spread(o) * (2 * sigmoid(c) - 1), c, i, o


@settings
class GRUCho(Cell):
    """Cho et al. 2014: the reset gate before the product."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        z, r = sigmoid(w.z(x, h)), sigmoid(w.r(x, h))
        return (1 - z) * tanh(w.n(x, r * h)) + z * h


@settings
class MUT1(Cell):
    """Jozefowicz et al. 2015; e = E x stands for x throughout."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e)), sigmoid(w.r(e, h))
        return z * tanh(w.n(r * h) + tanh(e)) + (1 - z) * h


@settings
class MUT2(Cell):
    """Jozefowicz et al. 2015."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e, h)), sigmoid(e + w.r(h))
        return z * tanh(w.n(r * h, e)) + (1 - z) * h


@settings
class MUT3(Cell):
    """Jozefowicz et al. 2015."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        e = w.e(x, bias=False)
        z, r = sigmoid(w.z(e, tanh(h))), sigmoid(w.r(e, h))
        return z * tanh(w.n(r * h, e)) + (1 - z) * h


def periods(sizes: Sizes) -> np.ndarray:
    """[H] four modules of periods 1, 2, 4, 8."""
    return 2.0 ** (np.arange(sizes["units"]) * 4 // sizes["units"])


@settings
class Clockwork(Cell):
    """Koutník et al. 2014: a module moves every T steps, and sees modules at least as slow."""

    def step(self, w: Weights, x: Node, t: Node, h: Node) -> Node:
        return where(every(constant(periods), t), tanh(w.h(x, h)), h)

    def mask(self, name: str, source: int, sizes: Sizes) -> np.ndarray | None:
        period = periods(sizes)
        return None if source == 0 else period[None, :] >= period[:, None]


@settings
class Hierarchical(Cell):
    """El Hihi & Bengio 1995: level k sees itself and the level below and moves every 2ᵏ steps; level 0 sees
    the input."""

    def step(self, w: Weights, x: Node, t: Node, h: Node) -> Node:
        return where(every(constant(periods), t), tanh(w.h(x, h)), h)

    def mask(self, name: str, source: int, sizes: Sizes) -> np.ndarray:
        level = np.log2(periods(sizes))
        if source == 0:
            return np.broadcast_to((level == 0)[:, None], (len(level), sizes["inputs"]))
        return (level[:, None] == level[None, :]) | (level[:, None] == level[None, :] + 1)


@settings
class LeakyFeedback(Cell):
    """An echo state network's equation (Jaeger 2001) with all weights in the genome: scalars leak and rho, output fed
    back."""

    sizes = {"leak": "one", "rho": "one"}  # noqa: RUF012

    def step(self, w: Weights, x: Node, y: Node, h: Node) -> Node:
        leak = sigmoid(w.leak)
        return (1 - leak) * h + leak * tanh(w.in_(x) + w.rho * w.res(h, bias=False) + w.back(y, bias=False))


@settings
class Timed(Cell):
    """No published cell: time, constants, parameters and one map twice removed as the sources of maps."""

    def step(self, w: Weights, x: Node, t: Node, h: Node) -> Node:
        ramp = constant(lambda sizes: np.linspace(-1, 1, sizes["units"]))
        return tanh(w.a(x, h, t / 10, ramp, w.level) + w.b(w.h(x), h))


CELLS: dict[str, Cell] = {
    "jordan": Jordan(),
    "second_order": SecondOrder(),
    "cascaded": Cascaded(),
    "ctrnn_exponential": CTRNNExponential(),
    "ctrnn_neat": CTRNNNeat(),
    "mtrnn": MTRNN(),
    "lstm_peephole": PeepholeLSTM(),
    "lstm_nig": PeepholeLSTM(without="i"),
    "lstm_nfg": PeepholeLSTM(without="f"),
    "lstm_nog": PeepholeLSTM(without="o"),
    "lstm_niaf": PeepholeLSTM(without="g"),
    "lstm_noaf": PeepholeLSTM(without="out"),
    "lstm_cifg": PeepholeLSTM(without="coupled"),
    "lstm_fgr": FGR(),
    "lstm_1997": LSTM1997(),
    "lstm_1997_full": LSTM1997(truncated=False, cell_bias=True, per_block=1),
    "gru_cho": GRUCho(),
    "mut1": MUT1(),
    "mut2": MUT2(),
    "mut3": MUT3(),
    "clockwork": Clockwork(),
    "hierarchical": Hierarchical(),
    "leaky_feedback": LeakyFeedback(),
    "timed": Timed(),
}


# ---- the same, for one sequence -------------------------------------------------------------------------------------


def σ(x):
    return 1 / (1 + np.exp(-x))


def jordan(a, v, x, y, t, s):
    context = 0.5 * s["s"] + y
    h = np.tanh(a("h", x, context))
    return {"h": h, "s": context}, h


def second_order(a, v, x, y, t, s):
    h = σ(a("h", np.array([hi * xl for hi in s["h"] for xl in x])))
    return {"h": h}, h


def cascaded(a, v, x, y, t, s):
    products = np.array([zi * xl for zi in s["z"] for xl in x])
    out, z = (σ(a(name, products, x, s["z"])) for name in ("out", "z"))
    return {"out": out, "z": z}, out


def ctrnn_exponential(a, v, x, y, t, s):
    target = a("u", x, σ(v("gain") * (s["u"] + v("theta"))))
    decay = np.exp(-0.1 * np.exp(v("rate")))
    u = (1 - decay) * target + decay * s["u"]
    return {"u": u}, σ(v("gain") * (u + v("theta")))


def ctrnn_neat(a, v, x, y, t, s):
    h = s["h"] + 0.1 * np.exp(v("rate")) * (np.tanh(a("h", x, s["h"])) - s["h"])
    return {"h": h}, h


def mtrnn(a, v, x, y, t, s):
    τ = np.array([(2.0, 5.0, 70.0)[g] for g in groups(len(s["u"]))])
    u = (1 - 1 / τ) * s["u"] + 1 / τ * a("u", x, np.tanh(s["u"]))
    return {"u": u}, np.tanh(u)


def greff(without):
    def step(a, v, x, y, t, s):
        h, c = s["h"], s["c"]
        i = np.ones_like(c) if without == "i" else σ(a("i", x, h) + v("pi") * c)
        f = {"f": np.ones_like(c), "coupled": 1 - i}.get(without)
        f = σ(a("f", x, h) + v("pf") * c) if f is None else f
        z = a("z", x, h)
        c = f * c + i * (z if without == "g" else np.tanh(z))
        o = np.ones_like(c) if without == "o" else σ(a("o", x, h) + v("po") * c)
        h = o * (c if without == "out" else np.tanh(c))
        return {"h": h, "c": c}, h

    return step


def lstm_fgr(a, v, x, y, t, s):
    i = σ(a("i", x, s["h"], s["i"], s["f"], s["o"]) + v("pi") * s["c"])
    f = σ(a("f", x, s["h"], s["i"], s["f"], s["o"]) + v("pf") * s["c"])
    c = f * s["c"] + i * np.tanh(a("z", x, s["h"]))
    o = σ(a("o", x, s["h"], s["i"], s["f"], s["o"]) + v("po") * c)
    return {"h": o * np.tanh(c), "c": c, "i": i, "f": f, "o": o}, o * np.tanh(c)


def lstm_1997(a, v, x, y, t, s):
    last = (x, s["h"], s["i"], s["o"])
    i, o, z = σ(a("i", *last)), σ(a("o", *last)), 4 * σ(a("z", *last)) - 2
    size = len(z) // len(i)  # of a block
    c = np.array([s["c"][k] + i[k // size] * z[k] for k in range(len(z))])
    h = np.array([o[k // size] * (2 * σ(c[k]) - 1) for k in range(len(z))])
    return {"h": h, "c": c, "i": i, "o": o}, h


def gru_cho(a, v, x, y, t, s):
    z, r = σ(a("z", x, s["h"])), σ(a("r", x, s["h"]))
    h = (1 - z) * np.tanh(a("n", x, r * s["h"])) + z * s["h"]
    return {"h": h}, h


def mut1(a, v, x, y, t, s):
    e = a("e", x)
    z, r = σ(a("z", e)), σ(a("r", e, s["h"]))
    h = np.tanh(a("n", r * s["h"]) + np.tanh(e)) * z + s["h"] * (1 - z)
    return {"h": h}, h


def mut2(a, v, x, y, t, s):
    e = a("e", x)
    z, r = σ(a("z", e, s["h"])), σ(e + a("r", s["h"]))
    h = np.tanh(a("n", r * s["h"], e)) * z + s["h"] * (1 - z)
    return {"h": h}, h


def mut3(a, v, x, y, t, s):
    e = a("e", x)
    z, r = σ(a("z", e, np.tanh(s["h"]))), σ(a("r", e, s["h"]))
    h = np.tanh(a("n", r * s["h"], e)) * z + s["h"] * (1 - z)
    return {"h": h}, h


def clocked(a, v, x, y, t, s):
    moved, period = np.tanh(a("h", x, s["h"])), periods({"units": len(s["h"])})
    h = np.array([moved[k] if t % int(period[k]) == 0 else s["h"][k] for k in range(len(moved))])
    return {"h": h}, h


def leaky_feedback(a, v, x, y, t, s):
    leak = σ(v("leak"))
    h = s["h"] + leak * (np.tanh(a("in_", x) + v("rho") * a("res", s["h"]) + a("back", y)) - s["h"])
    return {"h": h}, h


def timed(a, v, x, y, t, s):
    ramp = np.linspace(-1, 1, len(s["h"]))
    h = np.tanh(a("a", x, s["h"], np.array([t / 10]), ramp, v("level")) + a("b", a("h", x), s["h"]))
    return {"h": h}, h


BY_HAND = {
    "jordan": jordan,
    "second_order": second_order,
    "cascaded": cascaded,
    "ctrnn_exponential": ctrnn_exponential,
    "ctrnn_neat": ctrnn_neat,
    "mtrnn": mtrnn,
    "lstm_peephole": greff(""),
    "lstm_nig": greff("i"),
    "lstm_nfg": greff("f"),
    "lstm_nog": greff("o"),
    "lstm_niaf": greff("g"),
    "lstm_noaf": greff("out"),
    "lstm_cifg": greff("coupled"),
    "lstm_fgr": lstm_fgr,
    "lstm_1997": lstm_1997,
    "lstm_1997_full": lstm_1997,
    "gru_cho": gru_cho,
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "clockwork": clocked,
    "hierarchical": clocked,
    "leaky_feedback": leaky_feedback,
    "timed": timed,
}
