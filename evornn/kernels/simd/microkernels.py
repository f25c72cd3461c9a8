"""Source of the matrix kernels that every generated module contains: products of packed weights with rows of lanes.

`affine` computes rows of W·s + b for several sources s, 16 (or 8) rows at a time in registers while the columns run;
up to three rows that are left over go one by one, with four partial sums. Weights are packed in the order of reading:
per tile its biases, then per source and column one weight per row (`plan.tiles`).
`product` adds rows of D times rows of Z, summed over time (and lanes), to a gradient: 4×4 sums in registers.
"""

from __future__ import annotations


def affine(sources: int, add: bool) -> str:
    """`affine2(Z, W, w, to, rows, s0, n0, s1, n1)`; `add_affine…` adds to the rows that are there, without biases."""
    arguments = ", ".join(f"s{k}, n{k}" for k in range(sources))
    name = f"{'add_' if add else ''}affine{sources}"
    lines = [
        f"def {name}(Z, W, w, to, rows, {arguments}):",
        "    r = 0",
        "    while rows - r > 8:",
        *_tile(16, sources, add),
    ]
    lines += ["    if rows - r >= 4:", *_tile(8, sources, add), "    while r < rows:", *_row(sources, add)]
    return "\n".join(["@njit", *lines])


def _tile(height: int, sources: int, add: bool) -> list[str]:
    rows = range(height)
    lines = ["at = to + r * LANES"]
    if add:
        lines += [f"a{r} = load(Z, at + {r} * LANES)" for r in rows]
    else:
        lines += [f"a{r} = weight(W, w + {r})" for r in rows] + [f"w += {height}"]
    for k in range(sources):
        lines += [f"s = s{k}", f"for _ in range(n{k}):", "    x = load(Z, s)"]
        lines += [f"    a{r} = fma(weight(W, w + {r}), x, a{r})" for r in rows]
        lines += [f"    w += {height}", "    s += LANES"]
    lines += [f"store(Z, at + {r} * LANES, a{r})" for r in rows] + [f"r += {height}"]
    return ["        " + line for line in lines]


def _row(sources: int, add: bool) -> list[str]:
    start = "load(Z, to + r * LANES)" if add else "weight(W, w)"
    lines = [f"a0 = {start}", "a1 = splat(f(0))", "a2 = a1", "a3 = a1"] + ([] if add else ["w += 1"])
    for k in range(sources):
        lines += [f"s = s{k}", f"for _ in range(n{k} // 4):"]
        lines += [f"    a{i} = fma(weight(W, w + {i}), load(Z, s + {i} * LANES), a{i})" for i in range(4)]
        lines += ["    w += 4", "    s += 4 * LANES", f"for _ in range(n{k} % 4):"]
        lines += ["    a0 = fma(weight(W, w), load(Z, s), a0)", "    w += 1", "    s += LANES"]
    lines += ["store(Z, to + r * LANES, (a0 + a1) + (a2 + a3))", "r += 1"]
    return ["        " + line for line in lines]


def product() -> str:
    """`product(Z, d, rows, d_step, z, columns, z_step, steps, G, g)`: Σₜ D[t, row]·Z[t, column], added to G from g."""
    head = ["def product(Z, d, rows, d_step, z, columns, z_step, steps, G, g):"]
    body = [
        "for k in range(0, columns - columns % 4, 4):",
        *_block(4, 4),
        "for k in range(columns - columns % 4, columns):",
        *_block(8, 1),
    ]
    return "\n".join(["@njit", *head, *("    " + line for line in body)])


def _block(height: int, width: int) -> list[str]:
    sums = [(r, c) for r in range(height) for c in range(width)]
    lines = [f"for r in range(0, rows, {height}):", *(f"    g{r}_{c} = splat(f(0))" for r, c in sums)]
    lines += ["    p = d + r * LANES", "    q = z + k * LANES", "    for _ in range(steps):"]
    lines += [f"        z{c} = load(Z, q + {c} * LANES)" for c in range(width)]
    for r in range(height):
        lines += [
            f"        x = load(Z, p + {r} * LANES)",
            *(f"        g{r}_{c} = fma(x, z{c}, g{r}_{c})" for c in range(width)),
        ]
    lines += ["        p += d_step", "        q += z_step"]
    lines += [f"    add_sums_of_{len(sums)}(G, g, {', '.join(f'g{r}_{c}' for r, c in sums)})", f"    g += {len(sums)}"]
    return ["    " + line for line in lines]


def total() -> str:
    """`total(Z, d, rows, d_step, steps, G, g)`: Σₜ D[t, row], for biases; places as one column of `product`."""
    lines = ["def total(Z, d, rows, d_step, steps, G, g):", "    for r in range(0, rows, 8):"]
    lines += [f"        g{r} = splat(f(0))" for r in range(8)] + [
        "        p = d + r * LANES",
        "        for _ in range(steps):",
    ]
    lines += [f"            g{r} = g{r} + load(Z, p + {r} * LANES)" for r in range(8)] + ["            p += d_step"]
    lines += [f"        add_sums_of_8(G, g, {', '.join(f'g{r}' for r in range(8))})", "        g += 8"]
    return "\n".join(["@njit", *lines])
