"""The data of a task, its one-hot sequences as text, and what it wants at their ends."""

import numpy as np
from hypothesis import strategies as st

from evornn.tasks import TASKS

SEEDS = st.integers(0, 2**32 - 1)


def data(kind, **settings):
    return TASKS.build({"kind": kind, **settings}).data()


def texts(split, symbols):
    """The sequences of one-hot symbols up to the last step that counts, as text."""
    for inputs, mask in zip(split.inputs, split.mask, strict=True):
        steps = inputs[: np.flatnonzero(mask)[-1] + 1]
        assert (steps.sum(axis=1) == 1).all()
        yield "".join(symbols[k] for k in steps.argmax(axis=1))


def last_targets(split):
    return split.targets[np.arange(len(split)), [np.flatnonzero(mask)[-1] for mask in split.mask]]
