"""Source of the matrix kernels that every generated module contains.

`affine` computes rows of W·s + b for several sources s, tile by tile (see `tiles`). `product` adds rows of D times rows
of Z, summed over time (and lanes), to a gradient: 4×4 sums in registers.

With two vectors per row, the second one belongs to other sequences of the same member (`twin` is 0, weights are read
once for both) or to another member, whose weights lie `twin` numbers further.
"""

from __future__ import annotations

from collections.abc import Iterable

from evornn.kernels.simd.tiles import HEIGHTS


def instructions(add: bool, vectors: int, across: str) -> str:
    """The tiles that `affine` is made of, by name."""
    lines = [
        f"{_tile(height, add, own)} = tile({height}, {add}, {vectors}, {own}, {across!r})"
        for own in (False, True)[:vectors]
        for height in (*HEIGHTS[vectors], 1)
    ]
    return "\n".join(lines)


def affine(sources: int, add: bool, vectors: int) -> str:
    """`affine2(Z, W, w, twin, to, rows, s0, n0, s1, n1)`; `add_affine…` adds to the rows that are there, without
    biases. Two sources that lie one behind the other are one."""
    arguments = ", ".join(f"s{k}, n{k}" for k in range(sources))
    lines = ["if s0 + n0 * ROW == s1:", "    n0, n1 = n0 + n1, 0"] if sources > 1 else []
    lines += ["r = 0", f"sources = ({arguments})"]
    if vectors == 1:
        lines += _rows(add, vectors, False)
    else:
        lines += ["if twin == 0:", *_indent(_rows(add, vectors, False)), "else:", *_indent(_rows(add, vectors, True))]
    head = f"def {'add_' if add else ''}affine{sources}(Z, W, w, twin, to, rows, {arguments}):"
    return "\n".join(["@njit", head, *_indent(lines)])


def _rows(add: bool, vectors: int, own: bool) -> list[str]:
    """All rows; `own`: the vectors have weights of their own. As many tiles as `tiles.heights` counts."""
    lines: list[str] = []
    for height in (*HEIGHTS[vectors], 1):
        lines += [f"while rows - r >= {max(4, height - 4)}:" if height > 1 else "while r < rows:"]
        lines += [f"    w = {_tile(height, add, own)}(Z, W, w, twin, to + r * ROW, sources)", f"    r += {height}"]
    return lines


def _tile(height: int, add: bool, own: bool) -> str:
    return f"{'add_' if add else ''}tile_{height}{'_own' if own else ''}"


def product() -> str:
    """`product(Z, d, rows, z, columns, step, steps, width, G, g)`: Σₜ D[t, row]·Z[t, column], added to G from g. Time
    steps are `step` floats apart; `width` is how many floats of a row belong to the member."""
    head = ["def product(Z, d, rows, z, columns, step, steps, width, G, g):"]
    body = [
        "for k in range(0, columns - columns % 4, 4):",
        *_block(4, 4),
        "for k in range(columns - columns % 4, columns):",
        *_block(8, 1),
    ]
    return "\n".join(["@njit", *head, *_indent(body)])


def _block(height: int, width: int) -> list[str]:
    sums = [(r, c) for r in range(height) for c in range(width)]
    lines = [f"for r in range(0, rows, {height}):", *(f"    g{r}_{c} = splat(f(0))" for r, c in sums)]
    lines += ["    p = d + r * ROW", "    q = z + k * ROW", "    for _ in range(steps):"]
    lines += ["        for v in range(0, width, LANES):"]
    lines += [f"            z{c} = load(Z, q + {c} * ROW + v)" for c in range(width)]
    for r in range(height):
        lines += [f"            x = load(Z, p + {r} * ROW + v)"]
        lines += [f"            g{r}_{c} = fma(x, z{c}, g{r}_{c})" for c in range(width)]
    lines += ["        p += step", "        q += step"]
    lines += [f"    add_sums_of_{len(sums)}(G, g, {', '.join(f'g{r}_{c}' for r, c in sums)})", f"    g += {len(sums)}"]
    return _indent(lines)


def total() -> str:
    """`add_total(Z, d, rows, step, steps, width, G, g)`: Σₜ D[t, row], for biases; places as a column of `product`."""
    lines = ["def add_total(Z, d, rows, step, steps, width, G, g):", "    for r in range(0, rows, 8):"]
    lines += [f"        g{r} = splat(f(0))" for r in range(8)]
    lines += [
        "        p = d + r * ROW",
        "        for _ in range(steps):",
        "            for v in range(0, width, LANES):",
    ]
    lines += [f"                g{r} = g{r} + load(Z, p + {r} * ROW + v)" for r in range(8)]
    lines += ["            p += step", f"        add_sums_of_8(G, g, {', '.join(f'g{r}' for r in range(8))})"]
    return "\n".join(["@njit", *lines, "        g += 8"])


def _indent(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]
