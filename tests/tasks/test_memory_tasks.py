"""Tasks of looking ahead, long time lags, arithmetic and memory do what their papers say."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_data import SEEDS, data, last_targets, texts
from test_task_settings import ASKED

from evornn.tasks import TASKS, arithmetic
from evornn.tasks.core import scores

# Looking ahead.


@given(st.integers(1, 12), st.integers(1, 25), SEEDS)
def test_the_weighted_average_is_that_of_the_paper(past, future, seed):
    task = TASKS.build({"kind": "weighted_average", "past": past, "future": future, "length": 30})
    x = np.random.default_rng(seed).random(30)
    at = dict(enumerate(x))
    for t, y in enumerate(task.average(x)):
        before = sum(at.get(t - d, 0) * (1 - d / past) for d in range(1, past + 1)) / past
        ahead = sum(at.get(t + d, 0) * (1 - d / future) for d in range(future)) / future
        assert y == pytest.approx(before + ahead)


def test_who_does_not_look_ahead_can_not_be_better_than_the_past_alone():
    found = data("weighted_average", train=3000, valid=10, test=500, length=40)
    past, mean = found.baselines
    assert past.name == "past alone" and past.test < mean.test
    place = 20  # best linear answer at one step from all inputs up to it, fitted on very many sequences
    seen = [np.hstack([np.ones((len(s), 1)), s.inputs[:, : place + 1, 0]]) for s in (found.train, found.test)]
    weights = np.linalg.lstsq(seen[0], found.train.targets[:, place, 0], rcond=None)[0]
    error = np.square(seen[1] @ weights - found.test.targets[:, place, 0]).mean()
    ahead = sum(((1 - d / 20) / 20) ** 2 for d in range(1, 20)) / 12
    assert error == pytest.approx(ahead, rel=0.2)
    assert past.test < ahead, "less is unknown near the end"


# Long time lags.


@pytest.mark.parametrize(("relevant", "places"), [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order_is_as_in_the_paper(relevant, places):
    split = data("temporal_order", relevant=relevant, train=2000, valid=1, test=1).train
    lengths = set()
    for text, target in zip(texts(split, "EBabcdXY"), last_targets(split), strict=True):
        found = re.fullmatch("E[abcdXY]*B", text) and [m.start() for m in re.finditer("[XY]", text)]
        assert all(first <= at <= last for at, (first, last) in zip(found, places, strict=True))
        order = "".join(text[at] for at in found)
        assert target.tolist() == [k == int(order.translate({88: "0", 89: "1"}), 2) for k in range(2**relevant)]
        lengths.add(len(text))
    assert lengths == set(range(100, 111))


def test_rare_events_come_back_after_the_lag():
    found = data("rare_events", lag=4, blocks=6, train=20, valid=10, test=10)
    for text, targets in zip(texts(found.train, "axbcde"), found.train.targets, strict=True):
        stream = text + "axbcde"[targets[-1].argmax()]
        assert re.fullmatch(r"(?:([ax])bcde\1)*", stream) and len(stream) == 6 * 6
        assert stream[1:] == "".join("axbcde"[k] for k in targets.argmax(axis=1))
    outputs = 9 * found.test.targets
    starts = np.arange(5, 35, 6)  # the step before a block begins
    outputs[:, starts] = 0
    assert found.score.compute(outputs, found.test) == 1
    outputs[3, 4] = 0  # the event is not remembered
    assert found.score.compute(outputs, found.test) == 0.9


# Arithmetic.


def test_arithmetic_is_pythons():
    split = data("arithmetic", digits=2, distractors=2, train=300, valid=10, test=10).train
    signs, letters = set(), set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        end = np.flatnonzero(mask)[-1] + 1
        question, answer = "".join(arithmetic.INPUT_SYMBOLS[k] for k in inputs[:end].argmax(axis=1)).split("=")
        said = "".join(arithmetic.OUTPUT_SYMBOLS[k] for k in targets[mask].argmax(axis=1))
        expression = re.sub("[a-z]", "", question)
        first, sign, second = re.fullmatch(r"(-?\d\d?)([+-])(\d\d?)", expression).groups()
        assert said == f"{answer}." and int(answer) == int(first) + int(sign + second)
        assert (inputs[:end].sum(axis=1) == 1).all() and (targets[mask].sum(axis=1) == 1).all()
        assert mask.sum() == len(said) and not re.search("[a-z]{3}|^[a-z]", question)
        signs.add((first < "0", sign))
        letters |= set(question) - set(expression)
    assert len(signs) == 4 and len(letters) == 26


def test_a_step_is_right_by_itself():
    judge = scores.step_accuracy("characters", scores.argmax_matches).compute
    outputs = 2 * ASKED.targets - 1
    assert judge(outputs, ASKED) == 1.0
    outputs[0, 1], outputs[1, 1] = np.nan, -outputs[1, 1]  # the first one does not count
    assert judge(outputs, ASKED) == 0.75


# Memory.


def test_copy_says_the_bits_again():
    split = data("copy", length=5, test_length=9, train=50, valid=10, test=50).test
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        n = int(inputs[:, -1].argmax())
        assert (
            5 < n <= 9 and inputs[:, -1].sum() == 1 and np.flatnonzero(mask).tolist() == list(range(n + 1, 2 * n + 1))
        )
        assert (targets[mask] == inputs[:n, :-1]).all() and not inputs[n + 1 :].any()


def test_repeat_copy_repeats_as_often_as_told():
    split = data("repeat_copy", length=4, repeats=5, test_length=6, train=80, valid=10, test=80).train
    told = set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        n = int(inputs[:, -2].argmax())
        repeats = round(5 * inputs[n, -1])
        told.add(repeats)
        assert (targets[mask][:-1, :-1] == np.tile(inputs[:n, :-2], (repeats, 1))).all()
        assert targets[mask][:, -1].tolist() == [0] * (n * repeats) + [1] and not inputs[n + 1 :].any()
    assert told == {1, 2, 3, 4, 5}


def test_associative_recall_wants_the_item_after_the_one_that_is_shown():
    split = data("associative_recall", train=60, valid=10, test=60).test
    counts = set()
    for inputs, targets, mask in zip(split.inputs, split.targets, split.mask, strict=True):
        begins, (first, second) = np.flatnonzero(inputs[:, -2]), np.flatnonzero(inputs[:, -1])
        items = [inputs[at + 1 : at + 4, :-2].tolist() for at in begins]
        assert second == first + 4 and np.flatnonzero(mask).tolist() == [second + 1, second + 2, second + 3]
        assert len({str(item) for item in items}) == len(items)
        asked = items.index(inputs[first + 1 : second, :-2].tolist())
        assert targets[mask].tolist() == items[asked + 1]
        counts.add(len(items))
    assert counts == set(range(7, 13))


@pytest.mark.parametrize(("how", "kept"), [("flipped", -1), ("erased", 0)])
def test_patterns_are_spoilt_as_told(how, kept):
    task = TASKS.build({"kind": "pattern_completion", "how": how, "spoilt": 0.25, "partner": 7})
    given_patterns, wanted = task.pairs()
    split = task.data().test
    for inputs, target in zip(split.inputs, last_targets(split), strict=True):
        k = next(k for k in range(4) if (target == wanted[k]).all())
        assert (inputs[0] == given_patterns[k]).sum() == 24 and (inputs[0] == kept * given_patterns[k]).sum() == 8
        assert not inputs[1:].any()
