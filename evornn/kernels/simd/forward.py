"""Source of the forward pass: what does not change with time, the first state, and the loop over time and layers."""

from __future__ import annotations

from evornn.kernels.simd.places import Places, function, indent
from evornn.kernels.simd.program import Group, Section, strip


class Forward(Places):
    """Writes `static`, `start` and `forward`."""

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
            rows, place, initial = (
                self._count(self.program.leaves[state].size),
                self.symbol("state", state),
                self.symbol("initial", state),
            )
            body += [f"zero(Z, {place}, {rows})", f"if {initial} >= 0:", f"    for j in range({rows}):"]
            body += [f"        store(Z, {place} + j * LANES, weight(W, {initial} + j))"]
        lines = ["q = 0", "@GLOBAL", "zero(Z, y_row, outputs)", "zero(Z, t_row, 1)"]
        lines += ["zero(Z, dy, outputs)"] if self.gradient else []
        return function("start(Z, W, T, layers)", [*lines, "for layer in range(layers):", *indent(body)])

    def _forward(self) -> str:
        program, leaves = self.program, self.program.leaves
        layer = ["@TABLE", "x = cur + x_row if layer == 0 else out"]
        layer += self._levels_forward(program.step) + self._levels_forward(program.after)
        layer += [f"out = {self.output_place()}"]
        step = [
            "row = b * steps + t",
            "for i in range(inputs):",
            "    store(Z, cur + x_row + i * LANES, given(X, row * inputs + i))",
        ]
        step += ["store(Z, nxt + t_row, load(Z, cur + t_row) + splat(f(1)))"] if "t" in leaves else []
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
        lines = [
            "q = 0",
            "@GLOBAL",
            "nxt = cur + frame",
            "total = splat(f(0))",
            "for t in range(t0, t1):",
            *indent(step),
        ]
        lines += ["spill(Z, target, total, sums)", "return cur"]
        head = "forward(Z, W, T, layers, cur, storing, X, Y, M, b, steps, t0, t1, loss, sums, keep, kept)"
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
        weights, height = self.symbol("weights", group.name), self.symbol("height", group.name)
        return f"affine{len(sources)}(Z, W, {weights}, cur + {name}, {height}, {', '.join(sources)})"
