"""Source of the matrix kernels that every generated module contains: products of packed weights with rows of lanes.

`affine` computes rows of W·s + b for several sources s, as many at a time as registers hold while the columns run; up
to three rows that are left over go one by one, with four partial sums. Weights are packed in the order of reading: per
tile its biases, then per source and column one weight per row (`tiles`). A row's sum has the same order in every tile.
`product` adds rows of D times rows of Z, summed over time (and lanes), to a gradient: 4×4 sums in registers.

With two vectors per row, the second one belongs to other sequences of the same member (`twin` is 0, weights are read
once for both) or to another member, whose weights lie `twin` numbers further.
"""

from __future__ import annotations

from collections.abc import Iterable

HEIGHTS = {1: (16, 8), 2: (8,)}  # rows of a tile, by vectors per row: about 16 sums in registers


def tiles(rows: int, vectors: int) -> list[tuple[int, int]]:
    """(first row, height) of the tiles in which `affine` works; the last one may be higher than what is left."""
    found, r = [], 0
    for height in HEIGHTS[vectors]:
        while rows - r >= height - 4 and rows - r >= 4:
            found.append((r, height))
            r += height
    return [*found, *((k, 1) for k in range(r, rows))]


def affine(sources: int, add: bool, vectors: int) -> str:
    """`affine2(Z, W, w, twin, to, rows, s0, n0, s1, n1)`; `add_affine…` adds to the rows that are there, without
    biases. With one vector per row there is no `twin`."""
    arguments = ", ".join(f"s{k}, n{k}" for k in range(sources))
    twin = "twin, " if vectors > 1 else ""
    head = f"def {'add_' if add else ''}affine{sources}(Z, W, w, {twin}to, rows, {arguments}):"
    together = ["if s0 + n0 * ROW == s1:", "    n0, n1 = n0 + n1, 0"] if sources > 1 else []
    if vectors == 1:
        return "\n".join(["@njit", head, *_indent([*together, *_rows(sources, add, 1, False)])])
    shared, apart = (_indent(_rows(sources, add, vectors, own)) for own in (False, True))
    return "\n".join(["@njit", head, *_indent([*together, "if twin == 0:", *shared, "else:", *apart])])


def _rows(sources: int, add: bool, vectors: int, own: bool) -> list[str]:
    """All rows; `own`: the vectors have weights of their own."""
    lines = ["r = 0"]
    for height in HEIGHTS[vectors]:
        lines += [f"while rows - r >= {max(4, height - 4)}:", *_indent(_tile(height, sources, add, vectors, own))]
    return [*lines, "while r < rows:", *_indent(_row(sources, add, vectors, own))]


def _tile(height: int, sources: int, add: bool, vectors: int, own: bool) -> list[str]:
    each = [(r, v) for r in range(height) for v in range(vectors)]
    lines = ["at = to + r * ROW"]
    if add:
        lines += [f"a{r}_{v} = load(Z, at + {r} * ROW + {v} * LANES)" for r, v in each]
    else:
        lines += [f"a{r}_{v} = {_weight(r, v, own)}" for r, v in each] + [f"w += {height}"]
    for k in range(sources):
        lines += [f"s = s{k}", f"for _ in range(n{k}):"]
        lines += _indent(f"x{v} = load(Z, s + {v} * LANES)" for v in range(vectors))
        for r in range(height):
            lines += [] if own else [f"    b = {_weight(r, 0, own)}"]
            weights = [_weight(r, v, own) if own else "b" for v in range(vectors)]
            lines += _indent(f"a{r}_{v} = fma({weights[v]}, x{v}, a{r}_{v})" for v in range(vectors))
        lines += [f"    w += {height}", "    s += ROW"]
    lines += [f"store(Z, at + {r} * ROW + {v} * LANES, a{r}_{v})" for r, v in each]
    return [*lines, f"r += {height}"]


def _row(sources: int, add: bool, vectors: int, own: bool) -> list[str]:
    each = range(vectors)
    first = [f"load(Z, to + r * ROW + {v} * LANES)" if add else _weight(0, v, own) for v in each]
    lines = [f"a0_{v} = {first[v]}" for v in each] + [f"a{i}_{v} = splat(f(0))" for i in (1, 2, 3) for v in each]
    lines += [] if add else ["w += 1"]
    for k in range(sources):
        lines += [f"s = s{k}", f"for _ in range(n{k} // 4):"]
        lines += _indent(
            f"a{i}_{v} = fma({_weight(i, v, own)}, load(Z, s + {i} * ROW + {v} * LANES), a{i}_{v})"
            for i in range(4) for v in each
        )  # fmt: skip
        lines += ["    w += 4", "    s += 4 * ROW", f"for _ in range(n{k} % 4):"]
        lines += _indent(f"a0_{v} = fma({_weight(0, v, own)}, load(Z, s + {v} * LANES), a0_{v})" for v in each)
        lines += ["    w += 1", "    s += ROW"]
    lines += [f"store(Z, to + r * ROW + {v} * LANES, (a0_{v} + a1_{v}) + (a2_{v} + a3_{v}))" for v in each]
    return [*lines, "r += 1"]


def _weight(number: int, vector: int, own: bool) -> str:
    return f"weight(W, w + {number}{' + twin' if own and vector else ''})"


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
