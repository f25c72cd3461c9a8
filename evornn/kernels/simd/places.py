"""Where the values and cotangents of a generated kernel are, and the names of those places."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evornn.kernels.simd.program import Group, Program, Section, strip
from evornn.kernels.simd.rows import Rows
from evornn.kernels.simd.vector import LANES
from evornn.ops import Node, Size, walk

GLOBAL = (
    "frame", "inputs", "outputs", "x_row", "y_row", "t_row", "e_row", "target", "dy", "unused", "out_rows", "out_from",
    "readout", "readout_back", "readout_gradient", "readout_bias", "total", "twin", "gtwin", "apart", "r_row",
    "c_row",
)  # fmt: skip
PER_LAYER = ("x_from", "below", "d_out")


class Places:
    """What the source of a module knows while it is written. Writing finds out what has to be stored (`kept`,
    `crossing`), so it is done again until nothing is added."""

    def __init__(self, program: Program, entry: str, vectors: int) -> None:
        self.program, self.entry, self.gradient, self.vectors = program, entry, entry == "gradients", vectors
        nodes = dict.fromkeys((*program.static.nodes, *program.step.nodes, *program.after.nodes))
        self.carried = program.carried
        self.numbers = {n: k for k, n in enumerate(nodes)}
        self.affine_sources = {strip(s) for g in program.groups for s in g.sources}
        self.kept: set[Node] = set(program.used_static)
        self.kept |= {s for s in self.affine_sources if s in program.step.level and s.op != "affine"}
        self.crossing: set[Node] = set()  # values whose cotangents come from other passes
        self.late: set[Node] = set()  # affine maps whose rows are read after their own pass
        self.aliases: dict[Node, Node] = {}
        self.affines: set[tuple[int, bool]] = set()  # numbers of sources of `affine`, whether it adds
        self.weights = "W, {}, twin" if vectors > 1 else "W, {}, 0"  # the arguments of `affine`
        self.begin()

    def begin(self) -> None:
        """Before the source is written (again)."""
        self.named: dict[str, tuple[str, str | Node]] = {name: (name, "") for name in (*GLOBAL, *PER_LAYER)}
        self.affines = {(1, False), (1, True)} if self.gradient else {(1, False)}

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
            return f"nxt + {self.symbol('out_row', '')}"
        if section is program.step and node is self.carried:
            return f"cur + {self.symbol('out_row', '')}"
        if node in self.kept and node in section.level:
            return (
                f"cur + {self.symbol('map', self.aliases[node].name)}"
                if node in self.aliases
                else f"cur + {self.symbol('kept', node)}"
            )
        return None

    def _homes(self, section: Section, node: Node) -> list[str]:
        """Where a computed value is to be stored."""
        program, found = self.program, []
        if section is program.step:
            found = [
                f"nxt + {self.symbol('state', s)}"
                for s, n in zip(program.states, program.new, strict=True)
                if n is node
            ]
        if found or node.op in ("affine", "stop") or (section is program.step and node is self.carried):
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
            found = [
                f"now + {self.symbol('d_state', s)}"
                for s, n in zip(program.states, program.new, strict=True)
                if n is node
            ]
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
            if (
                free
                and node not in self.program.new
                and step.same_pass(node, argument)
                and node not in self.affine_sources
                and argument not in found.values()
            ):
                found[node] = argument
        return found

    # ---- rows and names ---------------------------------------------------------------------------------------------

    def _rows(self, section: Section, level: int, size: Size, recompute: bool = False) -> Rows:
        def place(node: Node) -> str | None:
            if node.op == "affine" and (recompute or not section.same_pass(node, here)):
                self.late.add(node)
            return self.place(section, node)

        here = next(n for n in section.nodes if section.level[n] == level and n.size == size)
        return Rows(
            section,
            level,
            size,
            place,
            keep=self.kept.add,
            position=self._position,
            rows=self._count,
            twin=self.twin,
            elsewhere=self.carried if section is self.program.step else None,
            recompute=recompute,
        )

    def _loop(self, rows: Rows) -> list[str]:
        lines = rows.lines + rows.stores
        if not lines:
            return []
        if isinstance(rows.size, str):
            return [f"for o in range(0, {self._count(rows.size)} * ROW, LANES):", *indent([*self._here(lines), *lines])]
        a, b = (self._count(s) for s in rows.size)
        inner = [f"for ol in range(0, {b} * ROW, LANES):", *indent([*self._here(lines), *lines, "o += LANES"])]
        return ["o = 0", f"for oi in range(0, {a} * ROW, ROW):", *indent(inner)]

    def _here(self, lines: list[str]) -> list[str]:
        """Where a vector is, as far as the lines want to know."""
        shift = (self.vectors * LANES).bit_length() - 1
        known = {"row": f"row = o >> {shift}", "half": "half = o & (ROW - LANES)"}
        return [line for name, line in known.items() if any(re.search(rf"\b{name}\b", text) for text in lines)]

    def twin(self, name: str) -> str:
        """How much further the second vector's weights (`twin`) or gradient (`gtwin`) lie, in a pass over rows."""
        return f" + half // LANES * {name}" if self.vectors > 1 else ""

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


def function(head: str, lines: Iterable[str]) -> str:
    return "\n".join(["@njit", f"def {head}:", *indent(lines)])


def indent(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]
