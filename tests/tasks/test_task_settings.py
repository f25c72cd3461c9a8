"""Wrong settings of classical tasks are named; scores; streams of random numbers."""

import numpy as np
import pytest

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.core import scores
from evornn.tasks.core.task import Sequences

# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tomita", "language": 8}, r"^task\.language: must be at most 7"),
        ({"kind": "tomita", "length": 12, "test_length": 12}, r"^task\.test_length: .*set it above length"),
        ({"kind": "anbn", "letters": 4}, r"^task\.letters: "),
        ({"kind": "anbn", "n": 20}, r"^task\.valid_n: leaves no string: set it above n"),
        ({"kind": "anbn", "valid_n": 60}, r"^task\.test_n: leaves no string: set it above valid_n"),
        ({"kind": "parity", "length": 100}, r"^task\.test_length: .*set it above length"),
        ({"kind": "parentheses", "kinds": 5}, r"^task\.kinds: "),
        ({"kind": "copy", "width": 0}, r"^task\.width: must be at least 1"),
        ({"kind": "associative_recall", "width": 1, "vectors": 2}, r"^task\.width: too few bits .*raise width"),
        ({"kind": "pattern_completion", "spoilt": 1.0}, r"^task\.spoilt: must be below 1"),
        ({"kind": "pattern_completion", "how": "lost"}, r"^task\.how: .*'flipped' or 'erased'"),
        ({"kind": "reber", "train": 0}, r"^task\.train: "),
        ({"kind": "sines", "count": 6}, r"^task\.count: "),
        ({"kind": "narma", "data_seed": -1}, r"^task\.data_seed: "),
        ({"kind": "parity", "lenght": 3}, r"did you mean 'length'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        TASKS.build(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [
    {"kind": "parity", "length": 3, "train": 12}, {"kind": "copy", "length": 1, "width": 2, "train": 5},
    {"kind": "rare_events", "blocks": 3}, {"kind": "pattern_completion", "size": 4, "patterns": 1},
])  # fmt: skip
def test_too_few_different_sequences_are_said(settings):
    with pytest.raises(EvornnError, match=r"too few different sequences .*: lower train, valid or test"):
        TASKS.build(settings).data()


# Scores.

ASKED = Sequences(
    inputs=np.zeros((2, 3, 1), np.float32),
    targets=np.array([[[0, 1], [0, 0], [1, 0]], [[0, 1], [1, 0], [0, 0]]], np.float32),
    mask=np.array([[True, False, True], [True, True, False]]),
)


@pytest.mark.parametrize(("right", "good", "bad"), [
    (scores.logits_match, 2.0, 0.0), (scores.argmax_matches, 1.0, -1.0), (scores.matches_within(0.3), 0.5, 0.5),
    (scores.signs_match, 1.0, -1.0),
    (scores.sigmoid_matches_within(0.3), 2.0, 0.8),
])  # fmt: skip
def test_a_sequence_is_right_when_all_its_steps_that_count_are(right, good, bad):
    asked = ASKED
    if right is scores.signs_match:
        asked = Sequences(ASKED.inputs, 2 * ASKED.targets - 1, ASKED.mask)
    exact = right.__qualname__.rpartition(".")[0] == "matches_within.<locals>" and "sigmoid" not in right.__qualname__
    outputs = asked.targets.copy() if exact else good * (2 * ASKED.targets - 1)
    judge = scores.sequence_accuracy("sequences", right).compute
    assert judge(outputs, asked) == 1.0
    outputs[0, 1] = np.nan  # does not count
    assert judge(outputs, asked) == 1.0
    outputs[1, 1] = outputs[1, 1] + 0.31 if exact else bad * (2 * ASKED.targets[1, 1] - 1)
    assert judge(outputs, asked) == 0.5


def test_streams_of_tasks_do_not_overlap():
    """Two tasks of one seed draw different numbers."""
    bits = [Streams(0, name).child("train").at(0).integers(0, 2, 64).tolist() for name in ("Parity", "Copy")]
    assert bits[0] != bits[1]
