"""How sure the test loss of one network is: a bootstrap over parts of the test split."""

from __future__ import annotations

import numpy as np

from evornn.arrays import Genome, Streams
from evornn.experiments.analysis.statistics import RESAMPLES, Interval
from evornn.networks.network import Network
from evornn.tasks.core.task import Sequences
from evornn.training.sequence_problem import SequenceProblem

PARTS = 8, 50  # of the test split: the fewest that make an interval, and the most


def loss_interval(network: Network, genome: Genome, test: Sequences, loss: str) -> Interval | None:
    """The loss on the test split with its 95 % interval; None where it has too few sequences.

    Sequences that follow one another are drawn together, because windows of one series overlap.

    Args:
        network: The network.
        genome: Its weights [n].
        test: The test split.
        loss: A name in `kernels/losses.py`.
    """
    if len(test) < PARTS[0]:
        return None
    parts = [test.take(rows) for rows in np.array_split(np.arange(len(test)), min(PARTS[1], len(test)))]
    weights = np.array([part.mask.sum() for part in parts], np.float64)
    losses = np.array([SequenceProblem(network, part, loss).losses(genome[None])[0] for part in parts], np.float64)
    draws = Streams(0, "loss interval").at(0).integers(len(parts), size=(RESAMPLES, len(parts)))
    means = (losses * weights)[draws].sum(axis=1) / weights[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float((losses * weights).sum() / weights.sum()), float(low), float(high))
