"""The champion of a run that is still under way, as its checkpoint has it."""

from __future__ import annotations

from dataclasses import dataclass

from evornn.arrays import Genome
from evornn.training.records import Checkpoint
from evornn.training.state import join


@dataclass(frozen=True)
class CurrentChampion:
    """What a run has found when it was last looked up (`loop.Run.save`)."""

    genome: Genome  # [n] lowest validation loss at a budget mark
    champion_valid: float
    mark: int
    updates: int  # generations or gradient steps


def load_champion(checkpoint: Checkpoint) -> CurrentChampion:
    """The champion in a checkpoint, with the generation that the checkpoint is of."""
    plain = checkpoint.plain
    genome, progress = (join(checkpoint.arrays, plain[name]) for name in ("champion", "progress"))
    return CurrentChampion(genome, progress["champion_valid"], checkpoint.mark, progress["updates"])
