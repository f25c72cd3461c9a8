"""Sequences that are cut when they are asked for give the same bits as sequences that are kept."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_files import write_table

from evornn import Budget, Network, train
from evornn.data.reading import read
from evornn.kernels.simd.runtime import lane_layout
from evornn.tasks import TASKS
from evornn.tasks.core import cutting, lazy
from evornn.tasks.core.identity import data_digest
from evornn.tasks.core.lazy import Lazy
from evornn.trainers import TRAINERS
from evornn.training.regularisation import Regularisation
from evornn.training.sequence_problem import SequenceProblem, last_outputs


def series(rows=500):
    rng = np.random.default_rng(4)
    y = np.cumsum(rng.normal(size=rows))
    table = [(k // 100, k % 100, round(y[k], 4), round(float(rng.normal()), 4), "abc"[k % 3]) for k in range(rows)]
    table[130] = (1, 30, "", 0.5, "a")  # a missing value
    write_table("data.csv", "shop,t,y,x,kind", table)


def text():
    with open("text.txt", "w") as file:
        file.write("the cat sat on the mat and the dog ate the rat of the cat. " * 30)


FORECAST = {"kind": "forecast", "path": "data.csv", "targets": "y", "group": "shop", "time": "t", "window": 12}
OWN = {
    "forecast": {**FORECAST, "covariates": ["x", "kind"], "horizon": 3, "missing": "mask", "stride": 2},
    "quantiles": {**FORECAST, "missing": "mask", "horizon": 2, "quantiles": [0.1, 0.5, 0.9]},
    "label": {"kind": "label", "path": "data.csv", "targets": "kind", "inputs": ["x", "y"], "missing": "mask",
              "length": 7, "washout": 1},
    "numbers": {"kind": "label", "path": "data.csv", "targets": "x", "inputs": "kind", "length": 9, "group": "shop"},
    "classify": {"kind": "classify", "path": "wide.csv", "target": "kind", "group": "id", "class_weights": "balanced"},
    "regress": {"kind": "regress", "path": "wide.csv", "targets": "size", "group": "id", "inputs": "x"},
    "language": {"kind": "language", "path": "text.txt", "length": 11},
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    series()
    text()
    rng = np.random.default_rng(5)
    rows = [(k, t, round(float(rng.normal()), 4), "ab"[k % 2], k % 7) for k in range(120) for t in range(5 + k % 6)]
    write_table("wide.csv", "id,t,x,kind,size", rows)
    # little is made at a time, so that there are many portions, the last one of a few sequences
    monkeypatch.setattr(lazy, "PORTION", 2000)
    monkeypatch.setattr(lane_layout, "STREAMED_NUMBERS", 2000)
    return tmp_path


def both(monkeypatch, spec):
    """The data that are kept, and those that are cut."""
    kept = TASKS.build(spec).data()
    monkeypatch.setattr(cutting, "KEPT_BYTES", 0)
    cut = TASKS.build(spec).data()
    assert not kept.train.is_lazy and all(split.is_lazy for split in cut.splits)
    return kept, cut


def same(one, other):
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize("spec", OWN.values(), ids=OWN)
def test_cut_data_are_kept_data(monkeypatch, spec):
    kept, cut = both(monkeypatch, spec)
    for one, other in zip(kept.splits, cut.splits, strict=True):
        for name in ("inputs", "targets", "mask"):
            assert same(getattr(one, name), getattr(other, name)), name
    assert data_digest(kept) == data_digest(cut)
    assert kept.note == cut.note and kept.preparation == cut.preparation
    assert [(one.name, one.valid, one.test) for one in kept.baselines] == [
        (one.name, one.valid, one.test) for one in cut.baselines
    ]
    assert asdict(kept.evaluation.keepable())["test"].keys() == asdict(cut.evaluation.keepable())["test"].keys()
    assert not cut.evaluation.keepable().test.is_lazy


@pytest.mark.parametrize("backend", ["simd", "torch"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("spec", OWN.values(), ids=OWN)
def test_losses_and_gradients_have_the_same_bits(monkeypatch, spec, threads, backend):
    kept, cut = both(monkeypatch, spec)
    network = Network("gru", inputs=kept.sizes[0], units=5, outputs=kept.sizes[1], backend=backend, threads=threads)
    one, other = (SequenceProblem(network, data.train, kept.loss) for data in (kept, cut))
    batch = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    for count in (1, 3, 40):
        genomes = network.sample(count=count, seed=1)
        assert same(one.losses(genomes), other.losses(genomes))
        assert same(one.losses(genomes, batch), other.losses(genomes, batch))
    genomes = genomes[:3]
    for rows in (None, batch):
        expected, found = (
            (problem.objective if rows is None else problem.objective.take(rows)).gradients(genomes, loss=kept.loss)
            for problem in (one, other)
        )
        assert same(expected[0], found[0]) and same(expected[1], found[1])
    # torch rounds products of matrices differently for another number of sequences
    rounding = 0 if backend == "simd" else 1e-6
    if kept.score is not None:
        scores = one.score(genomes[0], kept.score), other.score(genomes[0], kept.score)
        assert scores[0] == pytest.approx(scores[1], rel=rounding, abs=0)
    outputs = [last_outputs(network, genomes[0], data.test) for data in (kept, cut)]
    np.testing.assert_allclose(*outputs, rtol=rounding, atol=rounding)


def test_read_outs_have_the_same_bits(monkeypatch):
    kept, cut = both(monkeypatch, OWN["forecast"])
    network = Network("elman", inputs=kept.sizes[0], units=9, outputs=kept.sizes[1])
    genomes = network.sample(count=3, seed=1)
    one, other = (SequenceProblem(network, data.train, "mse").objective.readouts(genomes) for data in (kept, cut))
    assert same(one, other)


TRAINERS_OF_DATA = [
    {"kind": "adam", "batch": 16}, {"kind": "adam"}, {"kind": "openai_es", "population": 20, "batch": 16},
    {"kind": "adam", "batch": 16, "truncate": 4},
]  # fmt: skip


@pytest.mark.parametrize("trainer", TRAINERS_OF_DATA, ids=str)
@pytest.mark.parametrize("kind", ["forecast", "label", "language"])
def test_runs_have_the_same_bits(monkeypatch, kind, trainer):
    kept, cut = both(monkeypatch, OWN[kind])
    network = Network("gru", inputs=kept.sizes[0], units=4, outputs=kept.sizes[1])
    budget, trainer = Budget(steps=200_000), TRAINERS.build(trainer)
    one, other = (train(network, data, trainer, budget=budget, seed=3) for data in (kept, cut))
    assert same(one.genome, other.genome) and one.result.test_loss == other.result.test_loss


def test_noise_and_dropout_are_the_same(monkeypatch):
    kept, cut = both(monkeypatch, OWN["forecast"])
    network = Network("gru", inputs=kept.sizes[0], units=4, outputs=kept.sizes[1], layers=2)
    how = Regularisation(input_noise=0.1, dropout=0.2, weight_decay=1e-3)
    budget, trainer = Budget(steps=100_000), TRAINERS.build({"kind": "adam", "batch": 16})
    one, other = (train(network, data, trainer, budget=budget, regularisation=how) for data in (kept, cut))
    assert same(one.genome, other.genome)


@given(data=st.data())
def test_an_index_gives_what_it_gives_of_the_array(data):
    shape = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 5)), 2)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values = Lazy(shape, array.dtype, lambda rows: array[rows])
    rows = np.array(data.draw(st.lists(st.integers(-shape[0], shape[0] - 1), max_size=12)), np.int64)
    steps = rows % shape[1]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])))
    mask = mask.reshape(shape[:2])
    keys = [rows, slice(1, None, 2), 0, -1, (slice(None), -1), (slice(None), slice(None, None, -1)), mask]
    keys += [(rows, steps), (..., 1), (slice(0, 1), slice(3)), (rows, slice(None), 0), mask[:, 0]]
    for key in keys:
        assert np.array_equal(values[key], array[key]) and values[key].shape == array[key].shape, key
    lazy_mask = Lazy(mask.shape, mask.dtype, lambda rows: mask[rows])
    assert np.array_equal(values[lazy_mask], array[mask]) and np.array_equal(array[lazy_mask], array[mask])
    assert same(values, array) and values.nbytes == array.nbytes and len(values) == len(array)


@given(
    rows=st.lists(st.integers(20, 60), min_size=1, max_size=4), window=st.integers(1, 9), stride=st.integers(1, 7),
    horizon=st.integers(1, 3), washout=st.integers(0, 8), gap=st.integers(-9, 9),
)  # fmt: skip
def test_windows_are_those_of_the_rows(rows, window, stride, horizon, washout, gap):
    """Each counted step of a training window predicts the rows after it, in its own series, and none is missing."""
    washout = min(washout, window - 1)
    rng = np.random.default_rng(sum(rows))
    values = [rng.permutation(1000)[:count] + 1000 * s for s, count in enumerate(rows)]
    table = [(s, t, "" if t == gap else y) for s, own in enumerate(values) for t, y in enumerate(own)]
    write_table("given.csv", "s,t,y", table)
    spec = {"kind": "forecast", "path": "given.csv", "targets": "y", "group": "s", "time": "t", "window": window}
    more = {"stride": stride, "horizon": horizon, "washout": washout, "difference": False, "missing": "mask"}
    task = TASKS.build({**spec, **more})
    kept, before = task.data_of(read("given.csv")), cutting.KEPT_BYTES
    try:
        cutting.KEPT_BYTES = 0
        cut = task.data_of(read("given.csv"))
    finally:
        cutting.KEPT_BYTES = before
    for one, other in zip(kept.splits, cut.splits, strict=True):
        for name in ("inputs", "targets", "mask"):
            assert same(getattr(one, name), getattr(other, name)), name
    if gap >= 0:
        return
    answer = kept.preparation.answers[0]
    scaled = {float(np.float32((y - answer.mean) / answer.std)): (s, t) for s, own in enumerate(values)
              for t, y in enumerate(own)}  # fmt: skip
    for x, y, counted in zip(kept.train.inputs, kept.train.targets, kept.train.mask, strict=True):
        assert counted[washout:].all() and not counted[:washout].any()
        places = [scaled[float(v)] for v in x[:, 0]]
        s, first = places[0]
        assert places == [(s, first + step) for step in range(window)]
        for step in np.flatnonzero(counted):
            ahead = values[s][first + step + 1 : first + step + 1 + horizon]
            np.testing.assert_allclose(y[step], (ahead - answer.mean) / answer.std, atol=1e-4)
