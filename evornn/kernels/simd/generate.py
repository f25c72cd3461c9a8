"""Source of a kernel, generated from a cell's schedule: readable Python that numba compiles, one module per cell.

Sizes, layers, losses and masks are inputs: `T` holds, per layer, the sizes and positions that `plan` has laid out, and a
name in the source (`state_h`, `weights_g0`) is a column of it. `Z` is the workspace: two frames of rows (of LANES floats)
that alternate, or one per time step when gradients need them, then what does not change with time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from evornn.kernels.simd import microkernels
from evornn.kernels.simd.program import Group, Program, Section, strip
from evornn.kernels.simd.rows import Rows
from evornn.ops import Node, Size, walk

HEAD = '''"""{title}"""
from numba import njit as compile_
from numpy import empty
from numpy import float32 as f
from evornn.kernels.simd.functions import every, exp, relu, sigmoid, tanh, where
from evornn.kernels.simd.lanes import {weight} as weight, {given} as given
from evornn.kernels.simd.lanes import {sum_1} as add_sum, {sum_8} as add_sums_of_8, {sum_16} as add_sums_of_16
from evornn.kernels.simd.loss import step_gradient, step_loss
from evornn.kernels.simd.support import MEMBERS_{ACROSS} as MEMBERS, pack_{across} as pack, copy, report_{across} as report, spill, unpack_{across} as unpack, zero
from evornn.kernels.simd.vector import LANES, above, choose, fma, load, splat, store
njit = compile_(error_model="numpy", nogil=True)
entry = compile_(error_model="numpy", nogil=True, cache=True)
'''
ACROSS = {
    "batch": {"weight": "weight_of_one", "given": "given_to_lanes", "sum_1": "sum_1_over_lanes", "sum_8": "sum_8_over_lanes", "sum_16": "sum_16_over_lanes"},
    "members": {"weight": "weight_of_lanes", "given": "given_to_all", "sum_1": "keep_1", "sum_8": "keep_8", "sum_16": "keep_16"},
}  # fmt: skip
GLOBAL = (
    "frame", "inputs", "outputs", "x_row", "y_row", "t_row", "e_row", "target", "dy", "unused", "out_rows", "out_from",
    "readout", "readout_back", "readout_gradient", "readout_bias",
)  # fmt: skip
PER_LAYER = ("x_from", "below", "d_out")

ENTRIES = (
    '''
@entry
def losses(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, result, keep, kept):
    sums = empty(LANES)
    for p in range(first, last, MEMBERS):
        pack(genomes, p, last, index, template, W, sums)
        static(Z, W, T, layers)
        for b in range(blocks):
            start(Z, W, T, layers)
            at = (p // MEMBERS * blocks + b) * steps if keep else -1
            forward(Z, W, T, layers, 0, False, X, Y, M, b, steps, 0, steps, 0, loss, sums, at, kept)
        report(sums, count, result, p, last)
'''.strip(),
    '''
@entry
def gradients(genomes, first, last, index, template, T, layers, X, Y, M, blocks, steps, loss, count, Z, W, result,
              segment, checkpoints, frame, d_here, d_there, d_floats, G, positions, gradient):
    sums = empty(LANES)
    segments = (steps + segment - 1) // segment
    for p in range(first, last, MEMBERS):
        pack(genomes, p, last, index, template, W, sums)
        static(Z, W, T, layers)
        clear(Z, T, layers)
        G[:] = 0
        for b in range(blocks):
            start(Z, W, T, layers)
            now, old = d_here, d_there
            zero(Z, now, d_floats // LANES)
            for k in range(2 * segments - 1):  # there, keeping the states at the borders of segments, and back
                ahead = k < segments - 1
                s = k if ahead else 2 * segments - 2 - k
                t0, t1 = s * segment, min((s + 1) * segment, steps)
                if ahead:
                    copy(Z, 0, checkpoints, s * frame, frame)
                elif s < segments - 1:
                    copy(checkpoints, s * frame, Z, 0, frame)
                cur = forward(Z, W, T, layers, 0, True, X, Y, M, b, steps, t0, t1, 0, -1 if ahead else loss, sums, -1, G)
                if ahead:
                    copy(Z, cur, Z, 0, frame)
                else:
                    then = backward(Z, W, T, layers, cur, now, old, Y, M, b, steps, t0, t1, loss)
                    now, old = then, now + old - then
                    products(Z, T, layers, 0, t1 - t0, G)
            start_back(Z, T, layers, now, G)
        static_back(Z, W, T, layers, G)
        unpack(G, positions, sums, count, gradient, p, last)
        report(sums, count, result, p, last)
'''.strip(),
)


class Source:
    """The source of one module: `text`, and the `symbols` that a plan has to lay out, in the order of T's columns."""

    def __init__(self, program: Program, gradient: bool, across: str, title: str) -> None:
        self.program, self.gradient, self.across = program, gradient, across
        self.numbers = {n: k for k, n in enumerate(dict.fromkeys((*program.static.nodes, *program.step.nodes, *program.after.nodes)))}
        self.kept: set[Node] = set(program.used_static)
        self.crossing: set[Node] = set()
        self.late: set[Node] = set()  # affine maps whose rows are read after their own pass
        self.aliases: dict[Node, Node] = {}
        self.affine_sources = {strip(s) for g in program.groups for s in g.sources}
        self.kept |= {s for s in self.affine_sources if s in program.step.level and s.op != "affine"}
        text, before = self._write(), None
        while before != (before := (frozenset(self.kept), frozenset(self.crossing), frozenset(self.late))):
            text = self._write()
        self.aliases = self._find_aliases()
        text = self._write()
        self.symbols = dict(sorted(self.named.items()))
        self.text = HEAD.format(title=title, across=across, ACROSS=across.upper(), **ACROSS[across]) + self._with_table(text)

    # ---- the functions ---------------------------------------------------------------------------------------------

    def _write(self) -> str:
        self.named: dict[str, tuple[str, str | Node]] = {name: (name, "") for name in (*GLOBAL, *PER_LAYER)}
        self.affines: set[tuple[int, bool]] = {(1, False)}
        parts = [self._static(), self._start(), self._forward()]
        if self.gradient:
            self.affines.add((1, True))
            parts += [self._backward(), self._products(), self._clear(), self._static_back(), self._start_back()]
        kernels = [microkernels.affine(k, add) for k, add in sorted(self.affines)]
        return "\n\n\n".join([*kernels, *([microkernels.product(), microkernels.total()] if self.gradient else []), *parts, *ENTRIES[: 1 + self.gradient]])

    def _static(self) -> str:
        body: list[str] = []
        for level in self.program.static.levels:
            for size, nodes in self.program.static.passes(level):
                rows = self._rows(self.program.static, level, size)
                for node in nodes:
                    if node in self.kept:
                        rows.store(self.symbol("fixed", node), rows.value(node))
                body += self._loop(rows)
        return function("static(Z, W, T, layers)", ["for layer in range(layers):", *indent(["@TABLE", *body])])

    def _start(self) -> str:
        """The states before the first step, in the first frame: zero, or the genome's."""
        body = ["@TABLE"]
        for state in self.program.states:
            rows, place, initial = self._count(self.program.leaves[state].size), self.symbol("state", state), self.symbol("initial", state)
            body += [f"zero(Z, {place}, {rows})", f"if {initial} >= 0:", f"    for j in range({rows}):"]
            body += [f"        store(Z, {place} + j * LANES, weight(W, {initial} + j))"]
        lines = ["q = 0", "@GLOBAL", "zero(Z, y_row, outputs)", *(["zero(Z, dy, outputs)"] if self.gradient else [])]
        return function("start(Z, W, T, layers)", [*lines, "for layer in range(layers):", *indent(body)])

    def _start_back(self) -> str:
        body = ["@TABLE"]
        for state in self.program.states:
            rows, place, total = self._count(self.program.leaves[state].size), self.symbol("d_state", state), self.symbol("sum_initial", state)
            body += [f"if {total} >= 0:", f"    for j in range({rows}):", f"        add_sum(G, {total} + j, load(Z, now + {place} + j * LANES))"]
        return function("start_back(Z, T, layers, now, G)", ["for layer in range(layers):", *indent(body)])

    def _clear(self) -> str:
        """Sums over time of cotangents of what does not change with time."""
        nodes = [n for n in self.program.used_static if self._trainable(n)]
        body = [f"zero(Z, {self.symbol('d_fixed', n)}, {self._count(n.size)})" for n in nodes]
        return function("clear(Z, T, layers)", ["for layer in range(layers):", *indent(["@TABLE", *body])])

    def _forward(self) -> str:
        program, leaves = self.program, self.program.leaves
        layer = ["@TABLE", "x = cur + x_row if layer == 0 else out"]
        layer += self._levels_forward(program.step) + self._levels_forward(program.after)
        layer += [f"out = {self.output_place()}"]
        step = ["row = b * steps + t", "for i in range(inputs):", "    store(Z, cur + x_row + i * LANES, given(X, row * inputs + i))"]
        step += ["store(Z, cur + t_row, splat(f(first_step + t)))"] if "t" in leaves else []
        step += ["out = cur + x_row", "for layer in range(layers):", *indent(layer)]
        if program.readout:
            step += ["affine1(Z, W, readout, nxt + y_row, outputs, out, out_rows)"]
        else:
            step += ["for o in range(0, outputs * LANES, LANES):", "    store(Z, nxt + y_row + o, load(Z, out + o))"]
        step += ["if loss >= 0:", "    counts = given(M, row)", "    for o in range(outputs):"]
        step += ["        store(Z, target + o * LANES, given(Y, row * outputs + o))"]
        step += ["    total = total + choose(counts, step_loss(loss, Z, nxt + y_row, target, outputs), splat(f(0)))"]
        step += ["    if t % 64 == 63:", "        total = spill(Z, target, total, sums)"]
        step += ["if keep >= 0:", "    for o in range(outputs):"]
        step += ["        store(kept, ((keep + t) * outputs + o) * LANES, load(Z, nxt + y_row + o * LANES))"]
        step += ["cur, nxt = nxt, (nxt + frame if storing else cur)"]
        lines = ["q = 0", "@GLOBAL", "nxt = cur + frame", "total = splat(f(0))", "for t in range(t0, t1):", *indent(step)]
        lines += ["spill(Z, target, total, sums)", "return cur"]
        head = "forward(Z, W, T, layers, cur, storing, X, Y, M, b, steps, t0, t1, first_step, loss, sums, keep, kept)"
        return function(head, lines)

    def _levels_forward(self, section: Section) -> list[str]:
        body: list[str] = []
        for level in section.levels:
            for group in section.groups:
                if group.level == level:
                    body.append(self._affine(group))
            for size, nodes in section.passes(level):
                rows = self._rows(section, level, size)
                for node in nodes:
                    for place in self._homes(section, node):
                        rows.store(place, rows.value(node))
                body += self._loop(rows)
        return body

    def _affine(self, group: Group) -> str:
        sources = [f"{self._need(self.program.step, s)}, {self._count(s.size)}" for s in map(strip, group.sources)]
        self.affines.add((len(sources), False))
        name = self.symbol("block", group.name)
        return f"affine{len(sources)}(Z, W, {self.symbol('weights', group.name)}, cur + {name}, {self.symbol('height', group.name)}, {', '.join(sources)})"

    # ---- backward --------------------------------------------------------------------------------------------------

    def _backward(self) -> str:
        program, leaves = self.program, self.program.leaves
        layer = ["@TABLE"]
        for state in program.states:
            layer.append(f"zero(Z, old + {self.symbol('d_state', state)}, {self._count(program.leaves[state].size)})")
        for node in sorted(self.crossing - self.program.fixed, key=self.numbers.__getitem__):
            layer.append(f"zero(Z, {self.symbol('d', node)}, {self._count(node.size)})")
        layer += [f"x, dx = cur + x_from, {'now + ' if program.output_state else ''}below if layer > 0 else unused"]
        out = self._d_output()
        if program.readout:
            layer += ["if layer == layers - 1:", f"    add_affine1(Z, W, readout_back, {out}, out_rows, cur + e_row, outputs)"]
        else:
            layer += ["if layer == layers - 1:", "    for o in range(0, outputs * LANES, LANES):"]
            layer += [f"        store(Z, {out} + o, load(Z, {out} + o) + load(Z, cur + e_row + o))"]
        layer += self._levels_backward(program.after) + self._levels_backward(program.step)
        for source in ("x", "y", *program.states):
            if source in leaves:
                lines = self._propagate(leaves[source])
                layer += ["if layer > 0:", *indent(lines)] if source == "x" and lines else lines
        step = ["row = b * steps + t", "for o in range(outputs):", "    store(Z, target + o * LANES, given(Y, row * outputs + o))"]
        step += ["step_gradient(loss, Z, nxt + y_row, target, cur + e_row, outputs, given(M, row))"]
        if "y" in leaves:
            step += ["for o in range(0, outputs * LANES, LANES):", "    store(Z, cur + e_row + o, load(Z, cur + e_row + o) + load(Z, dy + o))"]
            step += ["zero(Z, dy, outputs)"]
        if program.output_state is None:
            step += ["for layer in range(layers):", "    q = layer * @COLUMNS", "    zero(Z, T[q + @d_out], T[q + @out_rows])"]
        step += ["for layer in range(layers - 1, -1, -1):", *indent(layer), "nxt = cur", "cur = cur - frame", "now, old = old, now"]
        lines = ["q = 0", "@GLOBAL", "nxt = cur", "cur = cur - frame", "for t in range(t1 - 1, t0 - 1, -1):", *indent(step), "return now"]
        return function("backward(Z, W, T, layers, cur, now, old, Y, M, b, steps, t0, t1, loss)", lines)

    def _levels_backward(self, section: Section) -> list[str]:
        body: list[str] = []
        for level in reversed(section.levels):
            for node in section.nodes:
                if section.level[node] == level and node in self.affine_sources and section is self.program.step:
                    body += self._propagate(node)
            for size, nodes in reversed(section.passes(level)):
                rows = self._rows(section, level, size, recompute=True)
                rows.backward(nodes, lambda n: self._incoming(section, n), lambda n: self._target(section, n), self._final)
                body += self._loop(rows)
        return body

    def _propagate(self, source: Node) -> list[str]:
        """Cotangents of affine maps to one of their sources: a product with the weights' transpose."""
        groups = [g for g in self.program.groups if source in g.sources]
        target = self._target(self.program.step, source) if groups else None
        if target is None:
            return []
        self.affines.add((len(groups), True))
        parts = ", ".join(f"cur + {self._d_block(g)}, {self.symbol('height', g.name)}" for g in groups)
        weights = self.symbol("back", source)
        return [f"add_affine{len(groups)}(Z, W, {weights}, {target}, {self._count(source.size)}, {parts})"]

    def _products(self) -> str:
        """Gradients of weights: products over the time steps t of a segment, after its backward sweep."""
        body = ["@TABLE"]
        for group in self.program.groups:
            d, height = f"cur + {self._d_block(group)}", self.symbol("height", group.name)
            for k, source in enumerate(map(strip, group.sources)):
                place = "cur + x_from" if source is self.program.leaves.get("x") else self._need(self.program.step, source)
                gradient = self.symbol("gradient", f"{group.name}.{k}")
                body.append(f"product(Z, {d}, {height}, frame, {place}, {self._count(source.size)}, frame, steps, G, {gradient})")
            if any(m.bias for m in group.maps):
                body.append(f"total(Z, {d}, {height}, frame, steps, G, {self.symbol('gradient', f'{group.name}.bias')})")
        lines = ["q = 0", "@GLOBAL", "nxt = cur + frame", "for layer in range(layers):", *indent(body)]
        if self.program.readout:
            lines += ["product(Z, cur + e_row, outputs, frame, cur + out_from, out_rows, frame, steps, G, readout_gradient)"]
            lines += ["total(Z, cur + e_row, outputs, frame, steps, G, readout_bias)"]
        return function("products(Z, T, layers, cur, steps, G)", lines)

    def _static_back(self) -> str:
        section, body = self.program.static, list[str]()
        for node in sorted(self.crossing & self.program.fixed, key=self.numbers.__getitem__):
            body.append(f"zero(Z, {self.symbol('d', node)}, {self._count(node.size)})")
        for level in reversed(section.levels):
            for size, nodes in reversed(section.passes(level)):
                rows = self._rows(section, level, size, recompute=True)
                rows.backward(nodes, lambda n: self._incoming(section, n), lambda n: self._target(section, n), self._final)
                rows.stores = [re.sub(r"store\(Z, (\w+) \+ o, (.*)\)$", r"add_sum(G, \1 + o // LANES, \2)", s) for s in rows.stores]
                body += self._loop(rows)
        return function("static_back(Z, W, T, layers, G)", ["for layer in range(layers):", *indent(["@TABLE", *body])])

    # ---- where things are ------------------------------------------------------------------------------------------

    def place(self, section: Section, node: Node) -> str | None:
        """Where the rows of a value are, seen from its section; None where it is not stored."""
        program = self.program
        if node.op == "leaf":
            if node.name in ("x", "y", "t"):
                return {"x": "x", "y": "cur + y_row", "t": "cur + t_row"}[node.name]
            return f"{'nxt' if section is program.after else 'cur'} + {self.symbol('state', node.name)}"
        if node in program.fixed:
            return self.symbol("fixed", node) if node in self.kept else None
        if node.op == "affine":
            return f"cur + {self.symbol('map', node.name)}"
        if section is program.step and node in program.new:
            return f"nxt + {self.symbol('state', program.states[program.new.index(node)])}"
        if section is program.after and node is program.output:
            return f"cur + {self.symbol('out_row', '')}"
        if node in self.kept and node in section.level:
            return f"cur + {self.symbol('map', self.aliases[node].name)}" if node in self.aliases else f"cur + {self.symbol('kept', node)}"
        return None

    def _homes(self, section: Section, node: Node) -> list[str]:
        """Where a computed value is to be stored."""
        program, found = self.program, []
        if section is program.step:
            found = [f"nxt + {self.symbol('state', s)}" for s, n in zip(program.states, program.new, strict=True) if n is node]
        if found or node.op in ("affine", "stop"):
            return found
        place = self.place(section, node)
        return [place] if place else []

    def output_place(self) -> str:
        return self.place(self.program.after, self.program.output) or ""

    def _need(self, section: Section, node: Node) -> str:
        place = self.place(section, node)
        if place is None:
            self.kept.add(node)
        return place or "cur"

    def _incoming(self, section: Section, node: Node) -> list[str]:
        program, found = self.program, []
        if section is program.step:
            found = [f"now + {self.symbol('d_state', s)}" for s, n in zip(program.states, program.new, strict=True) if n is node]
        if section is program.after and node is program.output:
            found = [self._d_output()]
        if section is program.static and node in program.used_static and self._trainable(node):
            found = [self.symbol("d_fixed", node)]
        if node in self.crossing:
            found.append(self.symbol("d", node))
        return found

    def _target(self, section: Section, node: Node) -> str | None:
        """Where cotangents of a value of another pass add up."""
        if node.op == "leaf":
            if node.name in ("x", "y", "t"):
                return {"x": "dx", "y": "dy", "t": None}[node.name]
            return f"{'now' if section is self.program.after else 'old'} + {self.symbol('d_state', node.name)}"
        if node in self.program.fixed and not self._trainable(node):
            return None
        if node in self.program.fixed and section is not self.program.static:
            return self.symbol("d_fixed", node)
        self.crossing.add(node)
        return self.symbol("d", node)

    def _trainable(self, node: Node) -> bool:
        return any(n.op == "parameter" for n in walk(node))

    def _final(self, node: Node) -> str:
        if node.op == "parameter":
            return self.symbol("sum", node.name)
        group = next(g for g in self.program.groups if node in g.maps)
        return f"cur + {self.symbol('d_map' if self._apart(group) else 'map', node.name)}"

    def _d_block(self, group: Group) -> str:
        return self.symbol("d_block" if self._apart(group) else "block", group.name)

    def _apart(self, group: Group) -> bool:
        """Whether cotangents can't overwrite the maps' rows, since those are sources of other maps."""
        return any(m in self.affine_sources for m in group.maps)

    def _d_output(self) -> str:
        state = self.program.output_state
        return f"now + {self.symbol('d_state', state)}" if state else self.symbol("d_out", "")

    def _find_aliases(self) -> dict[Node, Node]:
        """Stored functions of one affine map that take its place, which nobody reads again."""
        step, found = self.program.step, dict[Node, Node]()
        for node in self.kept:
            argument = node.nodes[0] if len(node.nodes) == 1 else node
            free = argument.op == "affine" and argument not in self.late and argument not in self.affine_sources
            if free and node not in self.program.new and step.same_pass(node, argument) and node not in self.affine_sources and argument not in found.values():
                found[node] = argument
        return found

    # ---- text ------------------------------------------------------------------------------------------------------

    def _rows(self, section: Section, level: int, size: Size, recompute: bool = False) -> Rows:
        def place(node: Node) -> str | None:
            if node.op == "affine" and (recompute or not section.same_pass(node, here)):
                self.late.add(node)
            return self.place(section, node)

        here = next(n for n in section.nodes if section.level[n] == level and n.size == size)
        return Rows(section, level, size, place, keep=self.kept.add, position=self._position, rows=self._count, recompute=recompute)

    def _loop(self, rows: Rows) -> list[str]:
        lines = rows.lines + rows.stores
        if not lines:
            return []
        if isinstance(rows.size, str):
            return [f"for o in range(0, {self._count(rows.size)} * LANES, LANES):", *indent(lines)]
        a, b = (self._count(s) for s in rows.size)
        inner = [f"for ol in range(0, {b} * LANES, LANES):", *indent([*lines, "o += LANES"])]
        return ["o = 0", f"for oi in range(0, {a} * LANES, LANES):", *indent(inner)]

    def _position(self, node: Node) -> str:
        return self.symbol(node.op, node.name if node.op == "parameter" else node)

    def _count(self, size: Size) -> str:
        return self.symbol("rows", size if isinstance(size, str) else "_by_".join(size))

    def symbol(self, kind: str, of: str | Node) -> str:
        """The name of a column of T, whose meaning a plan knows by (kind, of)."""
        what = of if isinstance(of, str) else of.name if of.op == "leaf" else f"n{self.numbers[of]}"
        name = "_".join(filter(None, (kind, re.sub(r"\W", "_", what))))
        self.named[name] = (kind, of)
        return name

    def _with_table(self, text: str) -> str:
        """Each function reads from T the names that it uses."""
        columns = {name: k for k, name in enumerate(self.symbols)}
        return "\n\n\n".join(self._reading(part, columns) for part in text.split("\n\n\n"))

    def _reading(self, part: str, columns: dict[str, int]) -> str:
        used = [name for name in columns if re.search(rf"(?<![@\w]){name}\b", part)]
        lines: list[str] = []
        for line in part.split("\n"):
            space = line[: len(line) - len(line.lstrip())]
            if line.strip() == "@TABLE":
                lines += [f"{space}q = layer * {len(columns)}", *(f"{space}{n} = T[q + {columns[n]}]" for n in used if n not in GLOBAL)]
            elif line.strip() == "@GLOBAL":
                lines += [f"{space}{n} = T[{columns[n]}]" for n in used if n in GLOBAL]
            else:
                lines.append(re.sub(r"@(\w+)", lambda m: str(columns[m[1]]) if m[1] in columns else m[0], line))
        return "\n".join(lines).replace("* @COLUMNS", f"* {len(columns)}")


def function(head: str, lines: Iterable[str]) -> str:
    return "\n".join(["@njit", f"def {head}:", *indent(lines)])


def indent(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]
