"""The cells as JAX's users write them, gates merged; h, which read-out and next step see, is the first state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.workloads import Problem

Arrays: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Equation:
    """A cell: `step(w, a, r, states, split)` from the merged products a with the input and r with the last h."""

    step: Callable[..., tuple[Any, ...]]
    start: Callable[[Arrays, Any], tuple[Any, ...]]
    gates_x: tuple[str, ...]  # maps of the input, merged in this order
    gates_h: tuple[str, ...]
    vectors: tuple[tuple[str, str], ...] = ()  # further parameters: name here, block in the genome
    constants: Callable[[Problem, Arrays], Arrays] = lambda problem, w: w


def _elman(w: Arrays, a: Any, r: Any, states: Any, split: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    return (jnp.tanh(a + r),)


def _lstm(w: Arrays, a: Any, r: Any, states: Any, split: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp
    from jax.nn import sigmoid

    i, f, z, o = split(a + r, 4)
    c = sigmoid(f) * states[1] + sigmoid(i) * jnp.tanh(z)
    return sigmoid(o) * jnp.tanh(c), c


def _gru(w: Arrays, a: Any, r: Any, states: Any, split: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp
    from jax.nn import sigmoid

    (az, ar, an), (rz, rr, rn) = split(a, 3), split(r, 3)
    z = sigmoid(az + rz)
    return ((1 - z) * jnp.tanh(an + sigmoid(ar + rr) * (rn + w["m"])) + z * states[0],)


def _ctrnn(w: Arrays, a: Any, r: Any, states: Any, split: Any) -> tuple[Any, ...]:
    from jax.nn import sigmoid

    u = states[1] + w["rate"] * (a + r - states[1])
    return sigmoid(u + w["theta"]), u


def _ctrnn_start(w: Arrays, zeros: Any) -> tuple[Any, ...]:
    from jax.nn import sigmoid

    return sigmoid(zeros + w["theta"]), zeros


def _ctrnn_constants(problem: Problem, w: Arrays) -> Arrays:
    from jax.nn import sigmoid

    cell: Any = problem.network.cell
    return {**w, "rate": cell.dt / (cell.tau_low * (cell.tau_high / cell.tau_low) ** sigmoid(w["tau"]))}


EQUATIONS = {
    "elman": Equation(_elman, lambda w, z: (z,), ("h",), ("h",)),
    "lstm": Equation(_lstm, lambda w, z: (z, z), ("i", "f", "z", "o"), ("i", "f", "z", "o")),
    "gru": Equation(_gru, lambda w, z: (z,), ("z", "r", "n"), ("z", "r", "m"), (("m", "m.bias"),)),
    "ctrnn": Equation(_ctrnn, _ctrnn_start, ("u",), ("u",), (("theta", "theta"), ("tau", "tau")), _ctrnn_constants),
}
