"""Which kind of problem a split of a task is: sequences, a plant in the fused kernels, or a world that steps itself."""

from __future__ import annotations

from evornn.networks.loss import OwnLoss
from evornn.networks.network import Network
from evornn.tasks.core.task import Asked, Sequences
from evornn.tasks.core.world import Rollouts
from evornn.training.plant_problem import Control
from evornn.training.problem import Problem
from evornn.training.sequence_problem import Mapping
from evornn.training.world_problem import Simulated


def problem(network: Network, asked: Asked, loss: str | OwnLoss) -> Problem:
    """Raises EvornnError for a loss that the task can't be judged by."""
    if isinstance(asked, Sequences):
        return Mapping(network, asked, loss)
    return Simulated(network, asked, loss) if isinstance(asked, Rollouts) else Control(network, asked, loss)
