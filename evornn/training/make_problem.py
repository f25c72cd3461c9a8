"""Which kind of problem a split of a task is: sequences, a plant in the fused kernels, or a world that steps itself."""

from __future__ import annotations

from evornn.networks.loss import CustomLoss
from evornn.networks.network import Network
from evornn.tasks.core.task import Sequences, Split
from evornn.tasks.core.world import Rollouts
from evornn.training.plant_problem import PlantProblem
from evornn.training.problem import Problem
from evornn.training.sequence_problem import SequenceProblem
from evornn.training.world_problem import WorldProblem


def make_problem(network: Network, split: Split, loss: str | CustomLoss) -> Problem:
    """Raises EvornnError for a loss that the task can't be judged by."""
    if isinstance(split, Sequences):
        return SequenceProblem(network, split, loss)
    return WorldProblem(network, split, loss) if isinstance(split, Rollouts) else PlantProblem(network, split, loss)
