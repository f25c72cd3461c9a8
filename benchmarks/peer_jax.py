"""JAX on the CPU, in the formulations that its users write, compiled for the shape and spread over all cores.

A formulation is how a member's arrays lie (`rows` [B, H], `columns` [H, B], or `lanes` [H, B, P] with the population as
the last axis and products written out as sums), how members are mapped (`vmap`, `map`, `map` of chunks), whether the
inputs' products are taken out of the scan, and how far the scan is unrolled. Weights come in JAX's own layout with
gates merged, prepared beforehand; the population is split over one XLA device per core (a power of two), since a scan
by itself leaves cores idle. `prepare_jax` must run before JAX is imported anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from benchmarks.jax_cells import EQUATIONS, Arrays
from benchmarks.timing import Contestant
from benchmarks.workloads import Problem
from evornn.arrays import Genomes


def prepare_jax(threads: int) -> None:
    """One XLA device per thread, on the CPU; as many as divide every population."""
    devices = min(16, 1 << (threads.bit_length() - 1))
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"


@dataclass(frozen=True)
class Formulation:
    """How a population's loss is written in JAX."""

    arrays: Literal["rows", "columns", "lanes"]
    members: Literal["vmap", "map"] | int = "vmap"  # a number: map of chunks of so many members
    hoisted: bool = False  # products with inputs before the scan
    late: bool = False  # read-out and loss after the scan, from all states
    unroll: int = 1
    quick: bool = False  # also with --quick

    def __str__(self) -> str:
        members = self.members if isinstance(self.members, str) else f"map×{self.members}"
        switches = {
            self.arrays: True,
            members: self.arrays != "lanes",
            "hoisted": self.hoisted,
            "late": self.late,
            f"unroll {self.unroll}": self.unroll > 1,
        }
        return " ".join(name for name, on in switches.items() if on)


FORMULATIONS = (  # those that win most often first: what is twice as slow is then tried but once
    Formulation("columns", 8),
    Formulation("columns", 32),
    Formulation("lanes", unroll=4, quick=True),
    Formulation("columns", "map"),
    Formulation("rows", 32, hoisted=True),
    Formulation("columns", "vmap"),
    Formulation("columns", "vmap", unroll=4),
    Formulation("rows", "vmap", quick=True),
    Formulation("rows", "vmap", unroll=4, quick=True),
    Formulation("rows", "vmap", hoisted=True, late=True),
    Formulation("rows", "map", quick=True),
    Formulation("rows", "map", hoisted=True),
)
LANES_UP_TO = 16  # units: beyond, the written-out sums take minutes to compile and never win


def contestants(problem: Problem, quick: bool) -> Iterator[Contestant]:
    for how in FORMULATIONS:
        if (how.quick or not quick) and (how.arrays != "lanes" or problem.sizes.units <= LANES_UP_TO):
            yield _contestant(problem, how)


def _contestant(problem: Problem, how: Formulation) -> Contestant:
    import jax

    places = positions(problem, how)
    run, arguments = _spread(problem, how, places)

    def call() -> Any:
        result = run(*arguments)
        for array in jax.tree.leaves(result):
            array.block_until_ready()
        return result

    def gradients(result: Any) -> Genomes:
        genomes = np.zeros_like(problem.genomes)
        for name, place in places.items():
            values = np.asarray(result[1][name])
            genomes[:, place] = np.moveaxis(values, -1, 0) if how.arrays == "lanes" else values
        return genomes

    if problem.operation == "forward":
        return Contestant("jax", str(how), call, np.asarray)
    return Contestant("jax", str(how), call, lambda result: np.asarray(result[0]), gradients)


def _spread(problem: Problem, how: Formulation, places: Mapping[str, Any]) -> tuple[Callable[..., Any], list[Any]]:
    """The compiled function with members split over all devices, and its arguments lying there."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    spec: Any = PartitionSpec  # ships no types
    mesh, everywhere, split = Mesh(np.array(jax.devices()), ("members",)), spec(), spec("members")
    weights, splits = {}, {}
    for name, place in places.items():
        w, last = problem.genomes[:, place], how.arrays == "lanes"
        splits[name] = spec(*[None] * (w.ndim - 1), "members") if last else split
        values = np.ascontiguousarray(np.moveaxis(w, 0, -1) if last else w)
        weights[name] = jax.device_put(values, NamedSharding(mesh, splits[name]))
    f = jax.shard_map(
        population(problem, how),
        mesh=mesh,
        in_specs=(splits, everywhere, everywhere),
        out_specs=split if problem.operation == "forward" else (split, splits),
        check_vma=False,
    )
    return jax.jit(f), [weights, *jax.device_put(sequences(problem, how), NamedSharding(mesh, everywhere))]


def population(problem: Problem, how: Formulation) -> Callable[..., Any]:
    """f(weights of a population, X, Y) → losses [P], or (losses, their gradients)."""
    import jax

    f = partial(loss, problem, how)
    if how.arrays == "lanes":
        if problem.operation == "forward":
            return f

        def total(w: Arrays, X: Any, Y: Any) -> tuple[Any, Any]:
            losses = f(w, X, Y)
            return losses.sum(), losses

        def gradients(w: Arrays, X: Any, Y: Any) -> tuple[Any, Any]:
            (_, losses), grads = jax.value_and_grad(total, has_aux=True)(w, X, Y)
            return losses, grads

        return gradients
    g = f if problem.operation == "forward" else jax.value_and_grad(f)
    if how.members == "vmap":
        return jax.vmap(g, (0, None, None))
    size = how.members if isinstance(how.members, int) else None
    return lambda w, X, Y: jax.lax.map(lambda member: g(member, X, Y), w, batch_size=size)


# ---- one member's loss, or in lanes all members' -----------------------------------------------------------------


def loss(problem: Problem, how: Formulation, w: Arrays, X: Any, Y: Any) -> Any:
    """Mean squared error of sequences X [T, …] and targets Y [T, …], by one scan over time."""
    import jax
    import jax.numpy as jnp

    s, equation = problem.sizes, EQUATIONS[problem.cell]
    axis = -1 if how.arrays == "rows" else 0
    product = PRODUCTS[how.arrays]
    members = w["v"].shape[-1:] if how.arrays == "lanes" else ()
    zeros = jnp.zeros(((s.batch, s.units) if how.arrays == "rows" else (s.units, s.batch)) + members)
    w = equation.constants(problem, w)

    def drive(x: Any) -> Any:
        return product(w["x"], x) + w.get("b", 0.0)

    def error(h: Any, y: Any) -> Any:
        squares = (product(w["v"], h) + w["c"] - y) ** 2
        return squares.sum((0, 1)) if members else squares.sum()

    def step(carry: Any, xy: Any) -> Any:
        (states, e), (x, y) = carry, xy
        a, r = x if how.hoisted else drive(x), product(w["h"], states[0])
        states = equation.step(w, a, r, states, lambda z, count: jnp.split(z, count, axis))
        return ((states, e), states[0]) if how.late else ((states, e + error(states[0], y)), None)

    xs = jax.vmap(drive)(X) if how.hoisted else X
    (_, e), hs = jax.lax.scan(step, (equation.start(w, zeros), jnp.zeros(members)), (xs, Y), unroll=how.unroll)
    return (error(hs, Y) if how.late else e) / Y.size


def _explicit_product(W: Any, v: Any) -> Any:
    """[rows, columns, P]·[columns, B, P] as a sum that XLA fuses, vectorised over the members."""
    return sum(W[:, k, None, :] * v[k] for k in range(v.shape[0]))


PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {
    "rows": lambda W, v: v @ W,
    "columns": lambda W, v: W @ v,
    "lanes": _explicit_product,
}


def sequences(problem: Problem, how: Formulation) -> list[Any]:
    """Inputs and targets, time first, then as the formulation's arrays lie."""
    axes = (1, 0, 2) if how.arrays == "rows" else (1, 2, 0)
    both = [np.ascontiguousarray(x.transpose(axes)) for x in (problem.inputs, problem.targets)]
    return [x[..., None] for x in both] if how.arrays == "lanes" else both


def positions(problem: Problem, how: Formulation) -> dict[str, Any]:
    """Name → where in a genome each number of that array stands."""
    blocks, equation = problem.network.layout.blocks, EQUATIONS[problem.cell]

    def at(name: str) -> Any:
        block = blocks[name]
        return np.arange(block.start, block.start + block.size).reshape(block.shape)

    def hidden(gate: str) -> Any:
        ends = (".x", ".bias")
        return at(next(name for name in blocks if name.startswith(f"0.{gate}.") and not name.endswith(ends)))

    matrices = {
        "x": np.concatenate([at(f"0.{gate}.x") for gate in equation.gates_x]),
        "h": np.concatenate([hidden(gate) for gate in equation.gates_h]),
        "v": at("readout.weight"),
    }
    vectors = {"c": at("readout.bias"), **{name: at(f"0.{block}") for name, block in equation.vectors}}
    if f"0.{equation.gates_x[0]}.bias" in blocks:
        vectors["b"] = np.concatenate([at(f"0.{gate}.bias") for gate in equation.gates_x])
    if how.arrays == "rows":
        return {**{name: place.T for name, place in matrices.items()}, **vectors}
    return {**matrices, **{name: place[:, None] for name, place in vectors.items()}}
