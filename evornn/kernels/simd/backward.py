"""Source of backpropagation through time: the sweep, the products that give the weights' gradients, and what belongs to
parameters that act at every step."""

from __future__ import annotations

import re

from evornn.kernels.simd.forward import Forward
from evornn.kernels.simd.places import function, indent
from evornn.kernels.simd.program import Section, strip
from evornn.ops import Node


class Backward(Forward):
    """Writes `backward`, `products`, `clear`, `static_back` and `start_back`."""

    def _backward(self) -> str:
        program, leaves = self.program, self.program.leaves
        layer = ["@TABLE"]
        for state in program.states:
            layer.append(
                f"zero(Z, old + {self.symbol('d_state', state)}, {self._count(program.leaves[state].size)} * ROW)"
            )
        for node in sorted(self.crossing - self.program.fixed, key=self.numbers.__getitem__):
            layer.append(f"zero(Z, {self.symbol('d', node)}, {self._count(node.size)} * ROW)")
        layer += [f"x, dx = cur + x_from, {'now + ' if program.output_state else ''}below if layer > 0 else unused"]
        out = self._d_output()
        if program.readout:
            layer += [
                "if layer == layers - 1:",
                f"    add_affine1(Z, {self.weights.format('readout_back')}, {out}, out_rows, cur + e_row, outputs)",
            ]
        else:
            layer += ["if layer == layers - 1:", "    for o in range(0, outputs * ROW, LANES):"]
            layer += [f"        store(Z, {out} + o, load(Z, {out} + o) + load(Z, cur + e_row + o))"]
        layer += self._levels_backward(program.after) + self._levels_backward(program.step)
        for source in ("x", "y", *program.states):
            if source in leaves:
                lines = self._propagate(leaves[source])
                layer += ["if layer > 0:", *indent(lines)] if source == "x" and lines else lines
        step = [
            "moment = b * steps + t",
            "for v in range(0, ROW, LANES):",
            "    there = moment + v // LANES * apart * steps",
        ]
        step += ["    for o in range(outputs):"]
        step += ["        store(Z, target + o * ROW + v, given(Y, there * outputs + o))"]
        places = "nxt + y_row + v, target + v, cur + e_row + v"
        step += [f"    step_gradient(loss, Z, {places}, outputs, ROW, given(M, there))"]
        if "y" in leaves:
            step += [
                "for o in range(0, outputs * ROW, LANES):",
                "    store(Z, cur + e_row + o, load(Z, cur + e_row + o) + load(Z, dy + o))",
            ]
            step += ["zero(Z, dy, outputs * ROW)"]
        if program.output_state is None:
            step += [
                "for layer in range(layers):",
                "    q = layer * @COLUMNS",
                "    zero(Z, T[q + @d_out], T[q + @out_rows] * ROW)",
            ]
        step += [
            "for layer in range(layers - 1, -1, -1):",
            *indent(layer),
            "nxt = cur",
            "cur = cur - frame",
            "now, old = old, now",
        ]
        lines = [
            "q = 0",
            "@GLOBAL",
            "nxt = cur",
            "cur = cur - frame",
            "for t in range(t1 - 1, t0 - 1, -1):",
            *indent(step),
            "return now",
        ]
        return function("backward(Z, W, T, layers, cur, now, old, Y, M, b, steps, t0, t1, loss)", lines)

    def _levels_backward(self, section: Section) -> list[str]:
        body: list[str] = []
        for level in reversed(section.levels):
            for node in section.nodes:
                if section.level[node] == level and node in self.affine_sources and section is self.program.step:
                    body += self._propagate(node)
            for size, nodes in reversed(section.passes(level)):
                rows = self._rows(section, level, size, recompute=True)
                rows.backward(
                    nodes, lambda n: self._incoming(section, n), lambda n: self._target(section, n), self._final
                )
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
        own = self.weights.format(weights)
        return [f"add_affine{len(groups)}(Z, {own}, {target}, {self._count(source.size)}, {parts})"]

    def _products(self) -> str:
        """Gradients of weights: products over the time steps t of a segment, after its backward sweep."""
        body, shift = ["@TABLE"], " + v // LANES * gtwin"
        for group in self.program.groups:
            d, height = f"cur + {self._d_block(group)}", self.symbol("height", group.name)
            for k, source in enumerate(map(strip, group.sources)):
                place = (
                    "cur + x_from" if source is self.program.leaves.get("x") else self._need(self.program.step, source)
                )
                count, gradient = self._count(source.size), self.symbol("gradient", f"{group.name}.{k}")
                sizes = f"{d} + v, {height}, {place} + v, {count}"
                body.append(f"product(Z, {sizes}, frame, steps, own, G, {gradient}{shift})")
            if any(m.bias for m in group.maps):
                gradient = self.symbol("gradient", f"{group.name}.bias")
                body.append(f"add_total(Z, {d} + v, {height}, frame, steps, own, G, {gradient}{shift})")
        lines = ["for layer in range(layers):", *indent(body)]
        if self.program.readout:
            sizes = "cur + e_row + v, outputs, cur + out_from + v, out_rows"
            lines += [f"product(Z, {sizes}, frame, steps, own, G, readout_gradient{shift})"]
            lines += [f"add_total(Z, cur + e_row + v, outputs, frame, steps, own, G, readout_bias{shift})"]
        lines = ["q = 0", "@GLOBAL", "nxt = cur + frame", "for v in range(0, ROW, own):", *indent(lines)]
        return function("products(Z, T, layers, cur, steps, own, G)", lines)

    def _static_back(self) -> str:
        section, body = self.program.static, list[str]()
        for node in sorted(self.crossing & self.program.fixed, key=self.numbers.__getitem__):
            body.append(f"zero(Z, {self.symbol('d', node)}, {self._count(node.size)} * ROW)")
        for level in reversed(section.levels):
            for size, nodes in reversed(section.passes(level)):
                rows = self._rows(section, level, size, recompute=True)
                rows.backward(
                    nodes, lambda n: self._incoming(section, n), lambda n: self._target(section, n), self._final
                )
                place = rf"add_sum(G, \1 + row{self.twin('gtwin')}, \2)"
                rows.stores = [re.sub(r"store\(Z, (\w+) \+ o, (.*)\)$", place, s) for s in rows.stores]
                body += self._loop(rows)
        lines = ["q = 0", "@GLOBAL", "for layer in range(layers):", *indent(["@TABLE", *body])]
        return function("static_back(Z, W, T, layers, G)", lines)

    def _clear(self) -> str:
        """Sums over time of cotangents of what does not change with time."""
        nodes = [n for n in self.program.used_static if self._trainable(n)]
        body = [f"zero(Z, {self.symbol('d_fixed', n)}, {self._count(n.size)} * ROW)" for n in nodes]
        return function("clear(Z, T, layers)", ["for layer in range(layers):", *indent(["@TABLE", *body])])

    def _start_back(self) -> str:
        body = ["@TABLE"]
        for state in self.program.states:
            rows, place, total = (
                self._count(self.program.leaves[state].size),
                self.symbol("d_state", state),
                self.symbol("sum_initial", state),
            )
            added = [f"add_sum(G, {total} + row{self.twin('gtwin')}, load(Z, now + {place} + o))"]
            body += [f"if {total} >= 0:", f"    for o in range(0, {rows} * ROW, LANES):"]
            body += indent(indent([*self._here(added), *added]))
        lines = ["q = 0", "@GLOBAL", "for layer in range(layers):", *indent(body)]
        return function("start_back(Z, T, layers, now, G)", lines)
