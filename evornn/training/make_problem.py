"""The problem of a split: sequences, a plant in the fused kernels, or a world of environments in Python."""

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
    """Bind a network to one split of a task.

    Args:
        network: The network.
        split: Training, validation or test split.
        loss: A name, or a function for sequences.

    Returns:
        The problem of the split's kind.

    Raises:
        EvornnError: The task can't be evaluated by this loss.
    """
    if isinstance(split, Sequences):
        return SequenceProblem(network, split, loss)
    return WorldProblem(network, split, loss) if isinstance(split, Rollouts) else PlantProblem(network, split, loss)
