"""A task whose only input is a category is looked up: the same losses and gradients as one-hot ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evornn
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data, Sequences
from evornn.trainers.core.query import Kind, Query
from evornn.training.sequence_problem import SequenceProblem, class_indices

RNG = np.random.default_rng(0)


def table(kind: str) -> Data:
    """A task of a file with one category."""
    rows = [f"s{k // 7},{'abcd'[RNG.integers(4)]},{'xy'[k // 7 % 2]},{(k // 7) ** 2 % 11}" for k in range(210)]
    Path("a.csv").write_text("\n".join(["id,word,kind,size", *rows, ""]))
    more = {
        "classify": {"target": "kind"},
        "label": {"targets": "kind", "answer": "class"},
        "regress": {"targets": "size"},
    }[kind]
    return TASKS.build({"kind": kind, "path": "a.csv", "group": "id", "inputs": ["word"], **more}).data()


def text() -> Data:
    Path("a.txt").write_text("the cat sat on the mat, the dog ate the cat. " * 12)
    return TASKS.build({"kind": "language", "path": "a.txt", "length": 12}).data()


@pytest.mark.parametrize("kind", ["classify", "label", "regress", "language"])
@pytest.mark.parametrize("cell", ["gru", "clockwork", "bidirectional"])
def test_losses_and_gradients_are_those_of_one_hot_inputs(
    kind: str, cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = text() if kind == "language" else table(kind)
    if kind == "language" and cell == "bidirectional":
        pytest.skip("it would read what it is to predict")
    split = data.train
    assert isinstance(split, Sequences) and split.is_categorical and split.take(np.array([0])).is_categorical
    network = evornn.Network(cell, inputs=data.sizes[0], outputs=data.sizes[1], units=6)
    splits = (replace(split, is_categorical=is_categorical) for is_categorical in (True, False))
    one, other = (SequenceProblem(network, part, data.loss) for part in splits)
    assert one.objective.examples.inputs.ndim == (2 if network.backend == "simd" else 3)
    genomes, batch = network.sample(3, 0), np.arange(4)
    for query in (Query(genomes), Query(genomes, batch=batch), Query(genomes[:1], Kind.GRADIENTS, batch)):
        ours, theirs = one.answer(query), other.answer(query)
        assert np.allclose(ours.losses, theirs.losses, rtol=1e-5)
        if query.kind is Kind.GRADIENTS:
            assert np.allclose(ours.gradients, theirs.gradients, atol=1e-5)
    if data.score is not None:
        assert one.score(genomes[0], data.score) == pytest.approx(other.score(genomes[0], data.score), rel=1e-4)


@pytest.mark.parametrize("trainer", [{"kind": "adam", "truncate": 5}, {"kind": "rtrl"}, {"kind": "openai_es"}], ids=str)
def test_trainers_that_cut_sequences_take_them(
    trainer: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = text()
    network = evornn.Network("gru", inputs=data.sizes[0], outputs=data.sizes[1], units=3)
    trainer = {**trainer, "batch": 2}
    losses = []
    for is_categorical in (True, False):
        splits = (replace(split, is_categorical=is_categorical) for split in data.splits)
        parts = dict(zip(("train", "valid", "test"), splits, strict=True))
        losses.append(evornn.train(network, replace(data, **parts), trainer, seed=0, budget=15_000).result.test_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_what_is_not_one_hot_stays_as_it_is() -> None:
    values, counted = np.eye(3, dtype=np.float32)[[[0, 2, 1]]], np.array([[True, True, False]])
    assert class_indices(values, counted).tolist() == [[0, 2, 0]]
    for wrong in (0.0, 0.5, 2.0, np.nan):
        changed = values.copy()
        changed[0, 1, 2] = wrong
        assert class_indices(changed, counted) is changed
    changed = values.copy()
    changed[0, 2] = 7.0
    assert class_indices(changed, counted).tolist() == [[0, 2, 0]]
