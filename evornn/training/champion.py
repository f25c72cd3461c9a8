"""The champion of a run that has not finished, read from its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from evornn.arrays import Genome
from evornn.training.records import Checkpoint
from evornn.training.state import join


@dataclass(frozen=True)
class CurrentChampion:
    """The champion of a run at its last checkpoint (`loop.Run.save`)."""

    genome: Genome  # [n] lowest validation loss at a budget mark
    champion_valid: float
    mark: int
    updates: int  # generations or gradient steps


def load_champion(checkpoint: Checkpoint) -> CurrentChampion:
    """Read the champion, with its mark and the number of updates, from a checkpoint."""
    plain = checkpoint.plain
    genome, progress = (join(checkpoint.arrays, plain[name]) for name in ("champion", "progress"))
    return CurrentChampion(genome, progress["champion_valid"], checkpoint.mark, progress["updates"])
