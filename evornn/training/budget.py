"""What a run may cost, and when it stops."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from evornn.settings import settings


@settings
class Budget:
    """`steps` network steps (members × sequences × time steps; a gradient counts 3; of a network that controls a plant,
    those really taken), the same for every trainer.

    Progress, validation and checkpoints happen at `marks` equal parts of it. A run stops earlier when it has computed
    for `seconds`, when a loss on the whole training data reaches `target`, or, with `solved`, at the mark at which its
    answer solves the task on training and validation data alike. `targets` are only recorded: at which cost each was
    first reached.
    """

    steps: Annotated[int, Ge(1), Le(10**18)]
    marks: Annotated[int, Ge(1), Le(10**6)] = 100
    seconds: Annotated[float, Gt(0)] | None = None
    target: float | None = None
    solved: bool = False
    targets: tuple[float, ...] = ()

    def mark(self, network_steps: int) -> int:
        """How many marks are behind a run that has spent this much."""
        return network_steps * self.marks // self.steps
