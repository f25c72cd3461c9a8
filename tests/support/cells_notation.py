"""Cells that exercise the notation and are in no catalog, and every gated cell's equation as the body of a plain loop.

`CELLS` holds equations that no paper has, and cells of the catalog with settings that change their equation. `BY_HAND`
has the steps of these and of the catalog for one sequence in numpy: `f(a, v, x, y, t, s)` takes an affine map
`a(name, *sources)`, a vector of parameters `v(name)`, the input, the last output, the time and the last states, and
returns the new states and what the read-out sees. It is written from the paper, for it is the independent check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evornn.cell import Cell, Weights
from evornn.networks.architectures.ctrnn import CTRNN
from evornn.networks.architectures.echo_state import EchoState
from evornn.networks.architectures.lstm_1997 import LSTM1997
from evornn.networks.architectures.mtrnn import MTRNN
from evornn.ops import Node, constant, sigmoid, tanh
from evornn.settings import settings


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
    "ctrnn_exponential": CTRNN(method="exponential", dt=0.5, gain_low=0.5, gain_high=4.0),
    "mtrnn_open": MTRNN(taus=(1.0, 3.0), shares=(1, 1), sees=((0, 1), (0,)), inputs_to=(0, 1), activation="sigmoid"),
    "lstm_1997_full": LSTM1997(block_size=2, truncated=False, biased="gates"),
    "leaky_feedback": LeakyFeedback(),
    "echo_state_evolved": EchoState(
        density=0.5, feedback=0.4, leak=0.3, evolved=("input_scale", "spectral_radius", "feedback", "leak")
    ),
    "timed": Timed(),
}


# ---- the same, for one sequence -------------------------------------------------------------------------------------


def σ(x):
    return 1 / (1 + np.exp(-x))


def jordan(a, v, x, y, t, s):
    context = 0.5 * s["s"] + y
    h = np.tanh(a("h", x, context))
    return {"h": h, "s": context}, h


def elman(a, v, x, y, t, s):
    h = np.tanh(a("h", x, s["h"]))
    return {"h": h}, h


def second_order(a, v, x, y, t, s):
    h = σ(a("h", np.array([hi * xl for hi in s["h"] for xl in x])))
    return {"h": h}, h


def cascaded(a, v, x, y, t, s):
    products = np.array([zi * xl for zi in s["z"] for xl in x])
    out, z = (σ(a(name, products, x, s["z"])) for name in ("y_", "z"))
    return {"y_": out, "z": z}, out


def ctrnn(a, v, x, y, t, s):
    h, τ = σ(s["u"] + v("theta")), 20 ** σ(v("tau"))
    u = s["u"] + (a("u", x, h) - s["u"]) / τ
    return {"u": u}, σ(u + v("theta"))


def ctrnn_exponential(a, v, x, y, t, s):
    gain, decay = 0.5 * 8 ** σ(v("gain")), np.exp(-0.5 / 20 ** σ(v("tau")))
    target = a("u", x, σ(gain * (s["u"] + v("theta"))))
    u = (1 - decay) * target + decay * s["u"]
    return {"u": u}, σ(gain * (u + v("theta")))


def ctrnn_neat(a, v, x, y, t, s):
    h = s["h"] + (np.tanh(a("h", x, s["h"])) - s["h"]) / 20 ** σ(v("tau"))
    return {"h": h}, h


def mtrnn(a, v, x, y, t, s):
    τ = np.array({2: [2, 5], 4: [2, 2, 5, 70], 8: [2, 2, 2, 2, 5, 5, 70, 70]}[len(s["u"])])
    u = (1 - 1 / τ) * s["u"] + 1 / τ * a("u", x, np.tanh(s["u"]))
    return {"u": u}, np.tanh(u)


def mtrnn_open(a, v, x, y, t, s):
    half = len(s["u"]) // 2
    τ = np.array([1] * half + [3] * half)
    u = s["u"] + (a("u", x, σ(s["u"])) - s["u"]) / τ
    return {"u": u}, σ(u)


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


def lstm(a, v, x, y, t, s):
    i, f, o = (σ(a(gate, x, s["h"])) for gate in "ifo")
    c = f * s["c"] + i * np.tanh(a("z", x, s["h"]))
    return {"h": o * np.tanh(c), "c": c}, o * np.tanh(c)


def gru(a, v, x, y, t, s):
    z, r = σ(a("z", x, s["h"])), σ(a("r", x, s["h"]))
    h = (1 - z) * np.tanh(a("n", x) + r * a("m", s["h"])) + z * s["h"]
    return {"h": h}, h


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
    moved, period = np.tanh(a("h", x, s["h"])), {2: [1, 2], 4: [1, 2, 4, 8], 8: [1, 1, 2, 2, 4, 4, 8, 8]}[len(s["h"])]
    h = np.array([moved[k] if t % period[k] == 0 else s["h"][k] for k in range(len(moved))])
    return {"h": h}, h


def leaky_feedback(a, v, x, y, t, s):
    leak = σ(v("leak"))
    h = s["h"] + leak * (np.tanh(a("in_", x) + v("rho") * a("res", s["h"]) + a("back", y)) - s["h"])
    return {"h": h}, h


def echo_state(a, v, x, y, t, s):
    h = np.tanh(a("h", x, s["h"]))
    return {"h": h}, h


def echo_state_evolved(a, v, x, y, t, s):
    scale = {name: 25 ** σ(v(name)) / 5 for name in ("input_scale", "spectral_radius", "feedback")}
    leak = 0.06 * (1 / 0.06) ** σ(v("leak"))
    sources = scale["input_scale"] * x, scale["spectral_radius"] * s["h"], scale["feedback"] * y
    h = (1 - leak) * s["h"] + leak * np.tanh(a("h", *sources))
    return {"h": h}, h


def timed(a, v, x, y, t, s):
    ramp = np.linspace(-1, 1, len(s["h"]))
    h = np.tanh(a("a", x, s["h"], np.array([t / 10]), ramp, v("level")) + a("b", a("h", x), s["h"]))
    return {"h": h}, h


BY_HAND: dict[str, Callable[..., Any]] = {
    "feed_forward": lambda a, v, x, y, t, s: ({"h": (h := np.tanh(a("h", x)))}, h),
    "fully_recurrent": elman,
    "elman": elman,
    "recurrent_multilayer_perceptron": elman,
    "jordan": jordan,
    "second_order": second_order,
    "cascaded": cascaded,
    "echo_state": echo_state,
    "echo_state_evolved": echo_state_evolved,
    "ctrnn": ctrnn,
    "ctrnn_exponential": ctrnn_exponential,
    "ctrnn_neat": ctrnn_neat,
    "mtrnn": mtrnn,
    "mtrnn_open": mtrnn_open,
    "lstm": lstm,
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
    "gru": gru,
    "gru_cho": gru_cho,
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "clockwork": clocked,
    "hierarchical": clocked,
    "leaky_feedback": leaky_feedback,
    "timed": timed,
}


def step_by_hand(name: str, cell: Cell) -> Callable[..., Any]:
    """The entry of BY_HAND; where there is none the test fails, and says what to write."""
    if name not in BY_HAND:
        pytest.fail(
            f"{name} has no independent check: write its equation in plain numpy, from the paper, into {__file__}\n"
            f'\n{outline(name, cell)}\n\nand add it to BY_HAND there: "{name}": {name},',
            pytrace=False,
        )
    return BY_HAND[name]


def outline(name: str, cell: Cell) -> str:
    """A function of BY_HAND without its equation, but with the maps, parameters and states that it is about."""
    trace = cell.trace()
    sources = {state: f's["{state}"]' for state in trace.states}
    maps = [
        f'a("{m.name}", {", ".join(sources.get(n.name, n.name) or "…" for n in m.nodes)})' for m in trace.maps.values()
    ]
    terms = ", ".join(maps + [f'v("{vector}")' for vector in trace.vectors])
    states = ", ".join(f'"{state}": …' for state in trace.states)
    return (
        f"def {name}(a, v, x, y, t, s):\n"
        f"    # of {terms} and the last states {', '.join(sources.values())}\n"
        f"    return {{{states}}}, …  # the new states, and what the read-out sees"
    )
