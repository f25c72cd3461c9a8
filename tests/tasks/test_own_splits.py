"""Splits of groups: no group is in two parts, parts have their sizes, classes are spread over them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_files import write_table

from evornn.data.splitting import split_by_folds, split_by_fractions
from evornn.errors import EvornnError
from evornn.tasks import TASKS

FRACTIONS = st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.34, 0.33, 0.33)])
STRATA = st.lists(st.integers(0, 3), min_size=3, max_size=60)


@given(STRATA, FRACTIONS, st.integers(0, 99))
def test_every_class_is_in_training_and_nearly_in_proportion(strata, fractions, seed):
    parts, strata = split_by_fractions(strata, fractions, seed), np.array(strata)
    assert parts.shape == strata.shape and set(parts) <= {0, 1, 2}
    kinds = len(np.unique(strata))
    for number in np.unique(strata):
        sizes = np.bincount(parts[strata == number], minlength=3)
        assert sizes[0] >= 1
        assert np.abs(sizes - sizes.sum() * np.array(fractions)).max() <= 2 + kinds


@given(st.integers(3, 200), FRACTIONS, st.integers(0, 99))
def test_parts_have_their_fraction_to_one(count, fractions, seed):
    sizes = np.bincount(split_by_fractions([0] * count, fractions, seed), minlength=3)
    assert sizes.min() >= 1 and (np.abs(sizes - count * np.array(fractions)).max() < 1.001 or count < 7)


@given(STRATA, st.integers(3, 8), st.integers(0, 99))
def test_every_group_is_in_the_test_of_one_fold(strata, folds, seed):
    parts = np.stack([split_by_folds(strata, folds, fold, seed) for fold in range(folds)])
    assert (np.count_nonzero(parts == 2, axis=0) == 1).all() and (np.count_nonzero(parts == 1, axis=0) == 1).all()
    for number in set(strata):
        each = np.count_nonzero((parts == 2)[:, np.array(strata) == number], axis=1)
        assert each.max() - each.min() <= 1


@given(STRATA, FRACTIONS)
def test_a_seed_gives_the_same_split_again_and_another_seed_another(strata, fractions):
    one = split_by_fractions(strata, fractions, 1)
    assert np.array_equal(one, split_by_fractions(strata, fractions, 1))
    if len(strata) > 30:
        assert any(not np.array_equal(one, split_by_fractions(strata, fractions, seed)) for seed in range(2, 6))


@given(
    lengths=st.lists(st.integers(1, 5), min_size=9, max_size=20),
    seed=st.integers(0, 9),
    folds=st.none() | st.integers(3, 4),
    order=st.randoms(use_true_random=False),
)
def test_no_group_is_in_two_splits(tmp_path_factory, lengths, seed, folds, order):
    """Each row has a number of its own, and the groups' rows are mixed in the file."""
    rows = [
        (group, step, group % 2, 100 * group + step) for group, count in enumerate(lengths) for step in range(count)
    ]
    order.shuffle(rows)
    path = tmp_path_factory.mktemp("groups") / "mixed.csv"
    write_table(path, "id,step,kind,x", rows)
    spec = {"kind": "classify", "path": str(path), "target": "kind", "group": "id", "time": "step", "inputs": "x"}
    data = TASKS.build({**spec, "data_seed": seed, "folds": folds}).data()
    (x,) = data.preparation.features
    seen = []
    for split in data.splits:
        for sequence, mask in zip(split.inputs[..., 0], split.mask, strict=True):
            numbers = np.round(sequence[: mask.argmax() + 1] * x.std + x.mean).astype(int)
            assert len(set(numbers // 100)) == 1 and (numbers % 100).tolist() == list(range(len(numbers)))
            assert len(numbers) == lengths[numbers[0] // 100]
            seen.append(numbers[0] // 100)
    assert sorted(seen) == list(range(len(lengths)))
    training = [row[3] for row in rows if row[0] in seen[: len(data.train)]]
    assert x.mean == pytest.approx(np.mean(training)) and x.std == pytest.approx(np.std(training) or 1.0)


def given_parts(tmp_path, words):
    path = tmp_path / "given.csv"
    write_table(path, "id,x,kind,part", [(group, group, group % 2, word) for group, word in words])
    spec = {"kind": "classify", "path": str(path), "target": "kind", "group": "id", "split_column": "part"}
    return TASKS.build(spec).data()


def test_a_column_gives_the_split(tmp_path):
    words = ["train"] * 4 + ["valid"] * 3 + ["test"] * 2
    data = given_parts(tmp_path, list(enumerate(words)))
    assert [len(split) for split in data.splits] == [4, 3, 2]
    assert [one.column for one in data.preparation.features] == ["x"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["train"] * 4 + ["valid"] * 3 + ["tset"] * 2,
            r"line 9, column 'part': 'tset' is no part: write train, valid or",
        ),
        (["train"] * 4 + ["test"] * 5, r"no row is left for valid: no group has that word in column 'part'"),
    ],
)
def test_a_column_that_gives_no_split(tmp_path, words, message):
    with pytest.raises(EvornnError, match=message):
        given_parts(tmp_path, list(enumerate(words)))


def test_a_group_that_is_said_to_be_in_two_parts(tmp_path):
    words = [*enumerate(["train"] * 4 + ["valid"] * 3 + ["test"] * 2), (0, "test")]
    with pytest.raises(
        EvornnError, match=r"line 11, column 'part': 'test', but '0' begins in 'train': a group is in one"
    ):
        given_parts(tmp_path, words)
