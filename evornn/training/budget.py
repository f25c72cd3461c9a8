"""The budget of a run: what it may cost, and when it stops."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from evornn.settings import settings


@settings
class Budget:
    """The budget of a run in network steps, the same for every trainer, and conditions to stop earlier.

    A network step is one time step of one sequence, computed by one member; a gradient counts 3. A network that
    controls a plant is charged the steps that its episodes lasted.

    Attributes:
        steps: Network steps that a run may spend. A call that would exceed them is not computed.
        marks: Equal parts of the budget at whose ends a run records its progress and validates its answer.
        seconds: Computing time after which a run stops; None: no limit.
        target: Loss on the whole training data at which a run stops; None: none.
        solved: Whether to stop at the first mark at which the answer solves the task on training and validation data.
        patience: Marks without a lower validation loss after which a run stops; None: none. The budget is then what a
            run may spend, and no longer what all runs have spent.
        targets: Further losses, of which only the cost of reaching them is recorded.
    """

    steps: Annotated[int, Ge(1), Le(10**18)]
    marks: Annotated[int, Ge(1), Le(10**6)] = 100
    seconds: Annotated[float, Gt(0)] | None = None
    target: float | None = None
    solved: bool = False
    patience: Annotated[int, Ge(1)] | None = None
    targets: tuple[float, ...] = ()

    def mark(self, network_steps: int) -> int:
        """The number of marks that a run has passed after `network_steps`."""
        return network_steps * self.marks // self.steps
