"""Two poles and a fully recurrent network in JAX on the CPU, in the formulations that its users write.

A step of all members is either a `vmap` of one member's step, or written out over arrays with the population as last
axis (`lanes`). Episodes run in one `scan` where nobody fails, else in a `while_loop` that ends with the last member, in
one or several stages: between those, who has failed is left out. Members are split over one XLA device per core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from evornn.arrays import Genomes
from evornn.layout import Layout

STAGES = {"one stage": (1.0,), "three stages": (0.016, 0.128, 1.0)}  # ends, in parts of the longest episode
SCALES = (4.8, 0.52, 0.52)
FORMS = ("vmap", "lanes")


def slopes(s: Any, force: Any) -> list[Any]:
    """Wieland's equations, as in evornn/tasks/plants/poles.py."""
    import jax.numpy as jnp

    _, v, *poles = s
    pull, mass, seen = 0.0, 1.0, []
    for m, l, angle, speed in zip((0.1, 0.01), (0.5, 0.05), poles[::2], poles[1::2], strict=True):  # noqa: E741
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        moment = 2e-6 / (m * l) * speed - 9.8 * sine
        pull = pull + m * l * speed * speed * sine + 0.75 * m * cosine * moment
        mass = mass + m * (1 - 0.75 * cosine * cosine)
        seen.append((l, speed, cosine, moment))
    a = (force - 5e-4 * jnp.sign(v) + pull) / mass
    turns = [(speed, -0.75 / l * (a * cosine + moment)) for l, speed, cosine, moment in seen]  # noqa: E741
    return [v, a, *(slope for pair in turns for slope in pair)]


def rk4(s: Any, force: Any, dt: float = 0.01) -> list[Any]:
    def advance(k: Any, by: float) -> list[Any]:
        return [a + by * b for a, b in zip(s, k, strict=True)]

    k1 = slopes(s, force)
    k2 = slopes(advance(k1, dt / 2), force)
    k3 = slopes(advance(k2, dt / 2), force)
    k4 = slopes(advance(k3, dt), force)
    return advance([a + 2 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)], dt / 6)


def step(product: Callable[[Any, Any], Any], w: Any, h: Any, s: Any) -> tuple[Any, Any]:
    """One control step: h [H, …], s [6, …]."""
    import jax.numpy as jnp

    x = jnp.stack([value / by for value, by in zip(s[::2], SCALES, strict=True)])
    h = jnp.tanh(product(w["x"], x) + product(w["h"], h) + w["b"])
    moving = list(s)
    for _ in range(2):
        moving = rk4(moving, 10 * jnp.clip(h[0], -1, 1))
    return h, jnp.stack(moving)


def stepper(form: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """A step of a population, its axis the last one."""
    import jax

    if form == "vmap":
        return jax.vmap(partial(step, lambda w, v: w @ v), in_axes=-1, out_axes=-1)
    return partial(step, lambda w, v: sum(w[:, k] * v[k] for k in range(len(v))))


@cache
def all_alive(form: str, steps: int, unroll: int) -> Any:
    """Compiled (weights, h, s) → s after so many steps, without asking who has failed."""
    import jax

    def run(w: Any, h: Any, s: Any) -> Any:
        return jax.lax.scan(lambda c, _: (stepper(form)(w, *c), None), (h, s), None, steps, unroll=unroll)[0][1]

    return _spread(run)


@cache
def until(form: str, limit: int) -> Any:
    """Compiled (weights, h, s, steps survived, alive) → the last four when all have failed or reached the limit."""
    import jax
    import jax.numpy as jnp

    def more(carry: Any) -> Any:
        _, _, count, alive = carry[1:]
        return jnp.any(alive & (count < limit))

    def run(w: Any, h: Any, s: Any, count: Any, alive: Any) -> Any:
        def body(carry: Any) -> Any:
            w, h, s, count, alive = carry
            h, new = stepper(form)(w, h, s)
            inside = (abs(new[0]) < 2.4) & (abs(new[2]) < np.pi / 5) & (abs(new[4]) < np.pi / 5)
            s, alive = jnp.where(alive, new, s), alive & inside
            return w, h, s, count + alive, alive

        return jax.lax.while_loop(more, body, (w, h, s, count, alive))[1:]

    return _spread(run)


def _spread(run: Callable[..., Any]) -> Any:
    import jax
    from jax.sharding import Mesh, PartitionSpec

    spec: Any = PartitionSpec

    def call(*args: Any) -> Any:
        mesh = Mesh(np.array(jax.devices()), ("members",))
        splits = jax.tree.map(lambda a: spec(*[None] * (a.ndim - 1), "members"), args)
        out = jax.tree.map(lambda a: spec(*[None] * (a.ndim - 1), "members"), jax.eval_shape(run, *args))
        return jax.shard_map(run, mesh=mesh, in_specs=splits, out_specs=out, check_vma=False)(*args)

    return jax.jit(call)


def begin(layout: Layout, genomes: Genomes) -> tuple[dict[str, Any], Any, Any]:
    """Weights, h and s of a population, its axis the last one."""

    def part(name: str) -> Any:
        block = layout.blocks[f"0.h.{name}"]
        return np.ascontiguousarray(np.moveaxis(genomes[:, block.slice].reshape(-1, *block.shape), 0, -1))

    s = np.zeros((6, len(genomes)), np.float32)
    s[2] = np.float32(np.radians(4.0))
    return {k: part(n) for k, n in (("x", "x"), ("h", "h"), ("b", "bias"))}, np.zeros_like(part("bias")), s


def survival_steps(form: str, stages: str, layout: Layout, genomes: Genomes, max_steps: int) -> Any:
    """[P] steps survived."""
    w, h, s = begin(layout, genomes)
    total, members = np.zeros(len(genomes), np.int32), np.arange(len(genomes))
    count, alive = total.copy(), np.ones(len(genomes), bool)
    for part in STAGES[stages]:
        h, s, count, alive = map(np.asarray, until(form, round(part * max_steps))(w, h, s, count, alive))
        total[members] = np.maximum(total[members], count)
        left = pad(np.nonzero(alive & (count < max_steps))[0])
        if not len(left):
            break
        w, h, s = {k: v[..., left] for k, v in w.items()}, h[:, left], s[:, left]
        count, alive, members = count[left], alive[left], members[left]
    return total


def pad(left: Any) -> Any:
    """Repeats members up to a power of two, so that few shapes are compiled."""
    return np.resize(left, max(16, 1 << (len(left) - 1).bit_length())) if len(left) else left


def formulations(max_steps: int | None) -> Iterator[tuple[str, Callable[[Layout, Genomes, int], Any]]]:
    """(name, call) where nobody fails (None), else where members end at different times."""
    for form in FORMS:
        if max_steps is None:
            for unroll in (1, 4):
                yield f"{form}, scan, unroll {unroll}", partial(_alive, form, unroll)
        else:
            for stages in STAGES:
                yield f"{form}, while_loop, {stages}", partial(survival_steps, form, stages)


def _alive(form: str, unroll: int, layout: Layout, genomes: Genomes, steps: int) -> Any:
    return np.asarray(all_alive(form, steps, unroll)(*begin(layout, genomes)))
