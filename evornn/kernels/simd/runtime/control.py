"""Networks that control plants, in SIMD lanes: the network is interpreted, the plant compiled (`plant`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats
from evornn.kernels.closed_loop import EpisodeResults, check
from evornn.kernels.simd.interpreter.call_numbers import OFFSETS
from evornn.kernels.simd.interpreter.instructions import SETTINGS
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.runtime import plant as plants
from evornn.kernels.simd.runtime.kernel import Kernel
from evornn.kernels.simd.runtime.lane_layout import LaneLayout, address_of
from evornn.kernels.simd.runtime.machine_code import function
from evornn.kernels.simd.runtime.threads import buffers, pool
from evornn.layout import Layout
from evornn.plant import PlantTrace

_CALL = slice(OFFSETS["most_steps"], OFFSETS["genomes"] + 1)
_SCRATCH = slice(OFFSETS["plant"], OFFSETS["packed"] + 1)


@dataclass(frozen=True)
class SimdClosedLoop:
    """`run` returns what `closed_loop.run` returns. Raises UnsupportedEquation for a plant whose equations have no
    code."""

    layout: Layout
    plant: PlantTrace
    threads: int = 1

    def __post_init__(self) -> None:
        plants.check(self.plant)

    def run(self, genomes: Floats, max_steps: int) -> EpisodeResults:
        """[P, n] genomes → their episodes of at most `max_steps` control steps."""
        check(self.layout, self.plant, max_steps)
        rows, starts, states = np.ascontiguousarray(genomes), self.plant.initial_states, len(self.plant.s)
        shape = len(rows), len(starts)
        result = EpisodeResults(
            np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros((*shape, states), np.float32)
        )
        jobs, queue = shape[0] * shape[1], np.zeros(1, np.int64)
        vectors = 1 if jobs <= LANES else 2  # no lane's bits depend on that
        table, sizes, loop = self._variants[vectors - 1]
        call = (
            max_steps,
            *map(address_of, (queue, result.steps, result.rewards, result.final_states)),
            len(rows),
            address_of(rows),
        )

        def work(_: int) -> None:
            places, numbers = buffers.get(sizes), buffers.numbers
            numbers[:] = table
            numbers[_SCRATCH], numbers[_CALL] = places, call
            loop(buffers.address)

        workers = min(self.threads, -(-jobs // (LANES * vectors)))
        if workers == 1:
            work(0)
        else:
            list(pool(self.threads).map(work, range(workers)))
        return result

    @cached_property
    def _variants(self) -> list[tuple[NDArray[np.int64], tuple[int, ...], Callable[..., None]]]:
        """For one and two vectors in a row: the numbers that all calls share, the floats of a thread's arrays, and
        the compiled loop."""
        return [self._variant(_kernel(self.layout, vectors)) for vectors in (1, 2)]

    def _variant(self, kernel: Kernel) -> tuple[NDArray[np.int64], tuple[int, ...], Callable[..., None]]:
        plant, program, table = self.plant, kernel.program, kernel.table.copy()
        advance, observe = plants.compile_plant(plant, kernel.lanes.vectors)
        numbers = {
            "episodes": len(plant.initial_states), "states": len(plant.s), "window": plant.window, "advance": advance,
            "observe": observe, "starts": address_of(plant.initial_states),
        }  # fmt: skip
        for name, number in numbers.items():
            table[OFFSETS[name]] = number
        workspace = program.frames_start + 2 * program.frame + 32 * program.row
        rows = len(plant.s) + plants.RECENT + plant.window
        weights = kernel.weight_stride * kernel.lanes.members
        sizes = rows * program.row, 2 * (4 * LANES + 2), 16, 2 * SETTINGS, workspace, weights
        return table, sizes, function("steps")


@lru_cache(64)
def _kernel(layout: Layout, vectors: int) -> Kernel:
    return Kernel(layout, "losses", LaneLayout(True, 1, vectors == 1, vectors), False)
