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
        lines = ["q = 0", "@GLOBAL", "for layer in range(layers):", *indent(["@TABLE", *body])]
        return function("static(Z, W, T, layers)", lines)

    def _start(self) -> str:
        """The states before the first step, in the first frame: zero, or the genome's."""
        body = ["@TABLE"]
        for state in self.program.states:
            rows, place, initial = (
                self._count(self.program.leaves[state].size),
                self.symbol("state", state),
                self.symbol("initial", state),
            )
            body += [
                f"zero(Z, {place}, {rows} * ROW)",
                f"if {initial} >= 0:",
                f"    for o in range(0, {rows} * ROW, LANES):",
            ]
            first = [f"store(Z, {place} + o, weight(W, {initial} + row{self.twin('twin')}))"]
            body += indent(indent([*self._here(first), *first]))
        lines = ["q = 0", "@GLOBAL", "zero(Z, y_row, outputs * ROW)", "zero(Z, t_row, ROW)", "zero(Z, total, ROW)"]
        lines += ["zero(Z, dy, outputs * ROW)"] if self.gradient else []
        return function("start(Z, W, T, layers)", [*lines, "for layer in range(layers):", *indent(body)])

    def _forward(self) -> str:
        program, leaves = self.program, self.program.leaves
        layer = ["@TABLE", "x = cur + x_row if layer == 0 else out"]
        layer += self._levels_forward(program.step) + self._levels_forward(program.after)
        layer += [f"out = {self.output_place()}"]
        step = [
            "moment = b * steps + t",
            "for v in range(0, ROW, LANES):",
            "    there = moment + v // LANES * apart * steps",
        ]
        step += ["    for i in range(inputs):"]
        step += ["        store(Z, cur + x_row + i * ROW + v, given(X, there * inputs + i))"]
        step += ["    store(Z, nxt + t_row + v, load(Z, cur + t_row + v) + splat(f(1)))"] if "t" in leaves else []
        step += ["out = cur + x_row", "for layer in range(layers):", *indent(layer)]
        if program.readout:
            step += [f"affine1(Z, {self.weights.format('readout')}, nxt + y_row, outputs, out, out_rows)"]
        else:
            step += ["copy(Z, out, Z, nxt + y_row, outputs * ROW)"]
        if self.entry == "products" and "y" in leaves:
            step += self._force()
        step += ["if loss >= 0:", *indent(self._add_loss())]
        step += ["if keep >= 0:", "    copy(Z, nxt + y_row, kept, (keep + t) * outputs * ROW, outputs * ROW)"]
        step += ["cur, nxt = nxt, (nxt + frame if storing else cur)"]
        lines = [
            "q = 0",
            "@GLOBAL",
            *self._first_output(),
            "nxt = cur + frame",
            "for t in range(t0, t1):",
            *indent(step),
        ]
        lines += ["spill(Z, total, sums)", "return cur"]
        head = "forward(Z, W, T, layers, cur, storing, X, Y, M, b, steps, t0, t1, loss, sums, keep, kept)"
        return function(head, lines)

    def _first_output(self) -> list[str]:
        """The output of the states before the first step, where steps go on from it."""
        if self.carried is None:
            return []
        body = ["@TABLE", *self._levels_forward(self.program.after)]
        return ["nxt = cur", "for layer in range(layers):", *indent(body)]

    def _add_loss(self) -> list[str]:
        """This step's loss to the row `total`, and that, from time to time, to sums in double precision."""
        vector = ["there = moment + v // LANES * apart * steps", "for o in range(outputs):"]
        vector += ["    store(Z, target + o * ROW + v, given(Y, there * outputs + o))"]
        vector += ["part = step_loss(loss, Z, nxt + y_row + v, target + v, outputs, ROW)"]
        vector += ["store(Z, total + v, load(Z, total + v) + choose(given(M, there), part, splat(f(0))))"]
        return ["for v in range(0, ROW, LANES):", *indent(vector), "if t % 64 == 63:", "    spill(Z, total, sums)"]

    def _force(self) -> list[str]:
        """The target in place of the output that is fed back: a read-out that is yet to be solved has none to give."""
        vector = ["there = moment + v // LANES * apart * steps", "for o in range(outputs):"]
        vector += ["    store(Z, nxt + y_row + o * ROW + v, given(Y, there * outputs + o))"]
        return ["for v in range(0, ROW, LANES):", *indent(vector)]

    def _gather(self) -> str:
        """Per step two blocks of rows whose products are wanted: [h, 1, y], empty where the step does not count, and
        [h, 1]."""
        vector = ["there = moment + v // LANES * apart * steps", "counts, none = given(M, there), splat(f(0))"]
        vector += ["r, c = at + r_row + v, at + c_row + v"]
        vector += ["for k in range(out_rows):", "    h = load(Z, at + out_from + k * ROW + v)"]
        vector += ["    store(Z, r + k * ROW, choose(counts, h, none))", "    store(Z, c + k * ROW, h)"]
        vector += ["store(Z, r + out_rows * ROW, choose(counts, splat(f(1)), none))"]
        vector += ["store(Z, c + out_rows * ROW, splat(f(1)))", "for o in range(outputs):"]
        vector += ["    y = choose(counts, given(Y, there * outputs + o), none)"]
        vector += ["    store(Z, r + (out_rows + 1 + o) * ROW, y)"]
        step = ["moment = b * steps + t", "at = (t - t0) * frame", "for v in range(0, ROW, LANES):", *indent(vector)]
        lines = ["q = 0", "@GLOBAL", "for t in range(t0, t1):", *indent(step)]
        return function("gather(Z, T, Y, M, b, steps, t0, t1)", lines)

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
        return f"affine{len(sources)}(Z, {self.weights.format(weights)}, cur + {name}, {height}, {', '.join(sources)})"
