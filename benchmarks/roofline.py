"""The least time that a forward pass can take where nothing but arithmetic counts: the column `of_roofline` of
`benchmarks.kernels`, or alone what the workloads are made of.

    python -m benchmarks.roofline [--quick] [--json FILE] [--cells elman,lstm] [--threads N]

A slot is one lane of a vector instruction, in the time of a fused multiply-add (FMA): 2 operations of the peak.

    slots = P·B·T·(products + elementwise),  roofline = 2·slots / peak,  of_roofline = roofline / time
    products    = weights of all affine maps and of the read-out; their biases start the sums, so they are free
    elementwise = Σ cost(op)·width over the values of the cell's equation that change from step to step

`COSTS` are vector instructions as interpreter/functions.py writes them; other operations take one. Equal values
are computed once, a division by what stays the same is a product, and a product that only one sum needs is one FMA with
it, at most one for each sum. Memory, loss, packing of weights and lanes that stay empty cost nothing. CPUs with further
pipes for sums and comparisons (AMD's) could be a little faster than this. Only forward passes have a roofline: a
gradient's depends on what is kept and what is computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import cells, positive
from benchmarks.workloads import CELLS, QUICK, WORKLOADS, Problem, Workload, flops
from evornn.cell import Trace, width
from evornn.layout import Layout
from evornn.networks.network import Network
from evornn.ops import Node, Sizes, Value

RECIPROCAL = 6  # guess 1, fma 5
CLAMP = 2
COSTS = {
    "tanh": CLAMP + 1 + 8 + RECIPROCAL + 2,  # square 1, two polynomials of 4 fma, products 2
    "sigmoid": CLAMP + 1 + 8 + RECIPROCAL + 2,  # the same with the last product and the sum in one fma
    "exp": CLAMP
    + 4
    + 5
    + 3
    + 2
    + 4
    + 3,  # reduced 4, polynomial 5, put together 3, halves of n 2, powers 4, the rest 3
    "div": RECIPROCAL + 1,
    "sin": 4 + 1 + 3 + 2 + 2,  # half turns 4, square 1, polynomial 3, put together 2, sign 2
    "cos": 4 + 1 + 4 + 2,
    "every": 5,
    "where": 3,
    "positive": 2,  # compare, choose
    **dict.fromkeys(("leaf", "parameter", "constant", "affine", "spread"), 0),
}


def slots(problem: Problem) -> int | None:
    """Of a whole population's forward pass; None for a gradient."""
    s = problem.sizes
    if problem.operation != "forward":
        return None
    return s.members * s.batch * s.steps * sum(per_step(problem.network.layout))


def share(slots: int | None, seconds: float, peak_gigaflops: float) -> float | None:
    """The roofline's part of the seconds that were measured."""
    return None if slots is None else 2e-9 * slots / peak_gigaflops / seconds


def per_step(layout: Layout) -> tuple[int, int]:
    """Slots of one step of one sequence: (products, elementwise)."""
    products = flops(layout, members=1, batch=1, steps=1, gradient=False) // 2
    return products, sum(elementwise(layout.trace, layout.sizes(layer)) for layer in range(layout.layers))


def elementwise(trace: Trace, sizes: Sizes) -> int:
    """Slots of one layer's values that change from step to step, without its affine maps."""
    same = merge((*trace.order, *trace.output_order))
    fixed = {same[node] for node in trace.static_nodes}
    nodes = [node for node in dict.fromkeys(same.values()) if node not in fixed]
    uses = Counter(argument for node in nodes for argument in node.nodes)
    uses.update(same[node] for node in (*trace.new_states, trace.output))
    saved = [product for node in nodes if (product := fuse(node, uses, fixed)) is not None]
    computed = sum(cost(node, fixed) * width(node.size, sizes) for node in nodes)
    return computed - sum(width(product.size, sizes) for product in saved)


def merge(nodes: Iterable[Node]) -> dict[Node, Node]:
    """Each node's own one, which equal nodes share; that of `stop`, which computes nothing, is its argument's."""
    known: dict[tuple[object, ...], Node] = {}
    same: dict[Node, Node] = {}
    for node in nodes:
        args = tuple(same[a] if isinstance(a, Node) else a for a in node.args)
        key = (node.op, args, node.size, node.name, node.bias, node.values)
        own = known.setdefault(key, Node(node.op, args, node.size, node.name, node.bias, node.values))
        same[node] = args[0] if node.op == "stop" and isinstance(args[0], Node) else own
    return same


def cost(node: Node, fixed: set[Node]) -> int:
    return 1 if is_product(node, fixed) else COSTS.get(node.op, 1)


def is_product(value: Value, fixed: set[Node]) -> bool:
    """Whether it is computed by one multiplication."""
    if not isinstance(value, Node) or value in fixed:
        return False
    divisor = value.args[1] if value.op == "div" else None
    return value.op == "mul" or (value.op == "div" and (not isinstance(divisor, Node) or divisor in fixed))


def fuse(node: Node, uses: Counter[Node], fixed: set[Node]) -> Node | None:
    """The product that becomes one instruction with a sum, since nobody else needs it."""
    if node.op not in ("add", "sub"):
        return None
    return next((a for a in node.nodes if is_product(a, fixed) and uses[a] == 1), None)


def rows(sizes: Sequence[Workload], cells: Sequence[str], peak: float) -> list[dict[str, Any]]:
    """What each workload is made of, and the largest fraction of the peak that its products can reach."""
    return [row(s, cell, peak) for s in sizes for cell in cells]


def row(s: Workload, cell: str, peak: float) -> dict[str, Any]:
    products, rest = per_step(Network(cell, inputs=s.inputs, units=s.units, outputs=s.outputs).layout)
    ms = 2e-6 * s.members * s.batch * s.steps * (products + rest) / peak
    parts = {"products": products, "elementwise": rest, "ms": ms, "most_of_peak": products / (products + rest)}
    return {"workload": list(vars(s).values()), "cell": cell, **parts}


def lines(sizes: Sequence[Workload], cells: Sequence[str], peak: float) -> Iterator[str]:
    """The rows as a table."""
    wide = max(map(len, cells))
    columns = f"{'products':>9} {'elementwise':>12} {'roofline ms':>12} {'most of peak':>13}"
    yield f"{'workload':<20} {'cell':<{wide}} {columns}"
    for r in rows(sizes, cells, peak):
        name = f"{','.join(map(str, r['workload'])):<20} {r['cell']:<{wide}}"
        yield f"{name} {r['products']:>9,} {r['elementwise']:>12,} {r['ms']:>12.3g} {r['most_of_peak']:>13.0%}"


def main(given: Sequence[str] | None = None) -> int:
    from benchmarks.peak import peak_gigaflops

    parser = argparse.ArgumentParser("python -m benchmarks.roofline", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller workloads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--cells", default=CELLS, type=cells, help="all: every gated cell; default: those with peers")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)), help="default: all cores")
    options = parser.parse_args(given)
    peak = peak_gigaflops(options.threads)
    print(f"FMA peak {peak:.0f} GFLOP/s of {options.threads} threads; slots of one step of one sequence")
    sizes = QUICK if options.quick else WORKLOADS
    print("\n".join(lines(sizes, options.cells, peak)))
    if options.json:
        results = {"peak_gflops": peak, "rows": rows(sizes, options.cells, peak)}
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
