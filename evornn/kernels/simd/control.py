"""The closed loop in SIMD lanes: 16 members at a time, each with its own weights and its own plant, in one function.

The network's step comes from the cell's trace, the plant's from its own; between them nothing leaves the cache. A lane
whose episode ends takes the next job from a queue that all threads share, so that lanes stay busy however long episodes
are. No lane's arithmetic depends on another lane: a member's bits depend neither on its place nor on the threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numba as nb
import numpy as np
from torch import Tensor

from evornn.kernels.closed_loop import Episodes, check
from evornn.kernels.simd import cache as disk
from evornn.kernels.simd.generate import GLOBAL, PER_LAYER, Source, function, indent
from evornn.kernels.simd.kernel import writable
from evornn.kernels.simd.plan import Plan, Workspace
from evornn.kernels.simd.program import Program, Rewriter
from evornn.kernels.simd.straight import Straight, renamed
from evornn.kernels.simd.threads import buffers, pool
from evornn.kernels.simd.vector import LANES
from evornn.layout import Layout
from evornn.plant import PlantTrace

IMPORTS = """
from evornn.kernels.simd.jobs import NOBODY, begin, first_lane, lanes_set, one_lane, replace, take_finite
from evornn.kernels.simd.jobs import pack as pack_lane, report as report_job
from evornn.kernels.simd.mechanics import maximum, minimum, sign, sincos
from evornn.kernels.simd.vector import absolute, equal, largest, smallest
njit = compile_(error_model="numpy", nogil=True, _nrt=False)
entry = compile_(error_model="numpy", nogil=True, _nrt=False, cache=True)
""".strip()

REFILL = """
@njit
def refill(lane, jobs, genomes, queue, starts, index, template, Z, W, T, layers, cur, S, steps, rewards, ends):
    take_finite(lane, jobs, genomes, queue, steps, rewards, ends, starts)
    if jobs[lane] == NOBODY:
        return 0
    here = one_lane(lane)
    pack_lane(genomes, jobs[lane], here, index, template, W)
    begin(starts, jobs[LANES + lane], here, S, {window})
    start_lane(Z, W, T, layers, cur, here)
    return 1 << lane
""".strip()

ENTRY = """
@entry
def closed_loop(genomes, queue, starts, index, template, T, layers, max_steps, jobs, Z, W, S, steps, rewards, ends):
    q = 0
    @GLOBAL
    cur, nxt, running, row = 0, frame, 0, 0
    for lane in range(LANES):
        running |= {refill}
    static(Z, W, T, layers)
    last = splat(f(max_steps) - f(0.5))
    while running != 0:
{step}
        cur, nxt = nxt, cur
        over = lanes_set(largest(above(count, last), failed)) & running
        if over != 0:
            running &= ~over
{reward}
            while over != 0:
                lane = first_lane(over)
                over &= over - 1
                report_job(S, lane, jobs, steps, rewards, ends)
                running |= {refill}
            static(Z, W, T, layers)
""".strip()

CALL = "refill(lane, jobs, genomes, queue, starts, index, template, Z, W, T, layers, cur, S, steps, rewards, ends)"

_F1, _F2, _F3 = nb.float32[::1], nb.float32[:, ::1], nb.float32[:, :, ::1]
_I1, _I2 = nb.int64[::1], nb.int64[:, ::1]
SIGNATURE = (_F2, _I1, _F2, _I1, _F1, _I1, nb.int64, nb.int64, _I1, _F1, _F1, _F1, _I2, _F2, _F3)


class ControlSource(Source):
    """The source of a closed loop's module."""

    def __init__(self, program: Program, plant: PlantTrace, title: str) -> None:
        self.plant, self.rewrite = plant, Rewriter()
        self.constants: dict[float, str] = {0.0: "ZERO", 1.0: "ONE"}
        self.s, self.a = renamed(plant.s, self.rewrite), renamed(plant.a, self.rewrite)
        super().__init__(program, "losses", "members", title, vectors=1)

    def _write(self) -> str:
        self.carried = None  # a lane that begins anew would need it first
        self.named = {name: (name, "") for name in (*GLOBAL, *PER_LAYER)}
        self.affines = {(1, False)}
        step, reward = (indent(indent(lines)) for lines in (self._step(), indent(self._rewarded())))
        entry = ENTRY.format(step="\n".join(step), reward="\n".join(reward), refill=CALL)
        parts = [self._static(), self._start_lane(), REFILL.format(window=self.plant.window), entry]
        constants = "\n".join(f"{name} = f({value!r})" for value, name in self.constants.items())
        return "\n\n\n".join([IMPORTS, constants, *self._affine_kernels(), *parts])

    def _start_lane(self) -> str:
        """One lane's states before its first step: zero, or the genome's."""
        body = ["@TABLE"]
        for state in self.program.states:
            place, initial = self.symbol("state", state), self.symbol("initial", state)
            body += [f"for j in range({self._count(self.program.leaves[state].size)}):"]
            body += [f"    first = weight(W, {initial} + j) if {initial} >= 0 else splat(ZERO)"]
            body += [f"    replace(Z, cur + {place} + j * LANES, here, first)"]
        lines = ["q = 0", "@GLOBAL", "for o in range(outputs):"]
        lines += ["    replace(Z, cur + y_row + o * LANES, here, splat(ZERO))", "for layer in range(layers):"]
        return function("start_lane(Z, W, T, layers, cur, here)", [*lines, *indent(body)])

    def _step(self) -> list[str]:
        """Observe, one step of the network, `substeps` of the plant, and what has come of it."""
        program, states = self.program, range(len(self.s))
        lines = [f"s{k} = load(S, {k} * LANES)" for k in states] + [f"count = load(S, {len(states)} * LANES)"]
        seen = self._straight(self.plant.observed, "x")
        lines += seen.lines + [f"store(Z, cur + x_row + {k} * LANES, {v})" for k, v in enumerate(seen.results)]
        lines += ["store(Z, cur + t_row, count)"] if "t" in program.leaves else []
        layer = ["@TABLE", "x = cur + x_row if layer == 0 else out", *self._levels_forward(program.step)]
        layer += [*self._levels_forward(program.after), f"out = {self.output_place()}"]
        lines += ["out = cur + x_row", "for layer in range(layers):", *indent(layer)]
        if program.readout:
            lines += [f"affine1(Z, {self.weights.format('readout')}, nxt + y_row, outputs, out, out_rows)"]
            lines += [f"a{k} = load(Z, nxt + y_row + {k} * LANES)" for k in range(len(self.a))]
        else:
            lines += [f"a{k} = load(Z, out + {k} * LANES)" for k in range(len(self.a))]
            lines += [f"store(Z, nxt + y_row + {k} * LANES, a{k})" for k in range(len(self.a))]
        motion = self._straight(self.plant.new, "m")
        moved = f"{', '.join(f's{k}' for k in states)}, = {', '.join(motion.results)},"
        lines += [f"for _ in range({self.plant.substeps}):", *indent([*motion.lines, moved])]
        return lines + [f"store(S, {k} * LANES, s{k})" for k in states] + self._judged()

    def _judged(self) -> list[str]:
        """Whether the step has failed (so does a state that is not finite), the steps survived, the sum of rewards."""
        states, judged = len(self.s), self._straight([self.plant.failed, self.plant.reward], "j")
        failed, reward = judged.results
        zero = "s0 * splat(ZERO)"
        for k in range(1, states):
            zero = f"fma(s{k}, splat(ZERO), {zero})"
        lines = [*judged.lines, f"failed = choose(equal({zero}, splat(ZERO)), {failed}, splat(ONE))"]
        lines += ["count = count + choose(failed, splat(ZERO), splat(ONE))", f"store(S, {states} * LANES, count)"]
        if self.plant.window:
            lines += [f"row = row + 1 if row + 1 < {self.plant.window} else 0", f"at = ({states + 3} + row) * LANES"]
            return [*lines, f"store(S, at, choose(failed, load(S, at), {reward}))"]
        if self.plant.reward == 1.0:
            return [*lines, f"store(S, {states + 1} * LANES, count)"]
        # Kahan's sum: 100,000 rewards add up as if in double precision
        lines += [f"total, rest = load(S, {states + 1} * LANES), load(S, {states + 2} * LANES)"]
        lines += [f"part = choose(failed, splat(ZERO), {reward} - rest)", "more = total + part"]
        lines += [f"store(S, {states + 2} * LANES, choose(failed, splat(ZERO), (more - total) - part))"]
        return [*lines, f"store(S, {states + 1} * LANES, more)"]

    def _rewarded(self) -> list[str]:
        """The sum of the last rewards. It begins at the row of this step, which a step that failed has left as it was:
        so the order depends on nothing but the lane's own fate."""
        states, window = len(self.s), self.plant.window
        if not window:
            return []
        lines = ["total = splat(ZERO)", f"for k in range({window}):"]
        lines += [f"    total = total + load(S, ({states + 3} + (row + k) % {window}) * LANES)"]
        return [*lines, f"store(S, {states + 1} * LANES, total)"]

    def _straight(self, wanted: Any, prefix: str) -> Straight:
        names = {node: f"s{k}" for k, node in enumerate(self.s)} | {node: f"a{k}" for k, node in enumerate(self.a)}
        return Straight(renamed(wanted, self.rewrite), names, prefix, self.constants)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Control:
    """A network that controls a plant, in SIMD lanes: `run` answers what `closed_loop.run` answers.

    Raises NotFusable when it is made for equations that the generator does not know."""

    layout: Layout
    plant: PlantTrace
    threads: int = 1

    def run(self, genomes: Tensor, max_steps: int) -> Episodes:
        """[P, n] genomes (float32, on the CPU) → their episodes of at most `max_steps` control steps."""
        check(self.layout, self.plant, max_steps)
        own, starts, states = writable(genomes), self.plant.starts, len(self.plant.s)
        shape = len(own), len(starts)
        sums = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        result = Episodes(*sums, np.zeros((*shape, states), np.float32))
        queue, plan, layers = np.zeros(1, np.int64), self.plan, self.layout.layers
        workspace, entry = self.workspace, self.function

        def work(_: int) -> None:
            Z, W, S = buffers.get(
                workspace.floats, (plan.weights + LANES) * LANES, (states + 3 + self.plant.window) * LANES
            )
            jobs = np.zeros(2 * LANES + 2, np.int64)
            entry(
                own, queue, starts, plan.index, plan.template, workspace.table, layers, max_steps, jobs, Z, W, S,
                result.steps, result.rewards, result.ends,
            )  # fmt: skip

        busy = min(self.threads, -(-result.steps.size // LANES))
        if busy == 1:
            work(0)
        else:
            list(pool(self.threads).map(work, range(busy)))
        return result

    def prepare(self) -> None:
        """Compile, or load."""
        _ = self.function

    @property
    def is_compiled(self) -> bool:
        return disk.is_compiled(self.source.text, "closed_loop")

    @cached_property
    def source(self) -> ControlSource:
        """The generated source; `source.text` may be read."""
        return source(self.layout, self.plant)

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.source, self.layout)

    @cached_property
    def workspace(self) -> Workspace:
        return self.plan.workspace(2, apart=False)

    @cached_property
    def function(self) -> Any:
        name = f"{type(self.layout.cell).__name__} and {type(self.plant.plant).__name__}"
        return compiled(self.source.text, name)


@cache
def compiled(text: str, name: str) -> Any:
    return disk.compiled(text, name, "closed_loop", SIGNATURE)


def source(layout: Layout, plant: PlantTrace) -> ControlSource:
    title = f"{type(layout.cell).__name__} controlling {type(plant.plant).__name__}, lanes across the members"
    return ControlSource(Program(layout.trace), plant, title)
