"""What practitioners take: seasonal naive, AutoETS, AutoARIMA; MiniRocket, 1-NN DTW; partial least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.references.ours import splits, task
from benchmarks.references.parts import Fragment, Set
from benchmarks.references.scores import Answers
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data, Sequences

Forecasts: TypeAlias = tuple[NDArray, NDArray, tuple[str, ...]]  # predictions and truth [K, horizon], series [K]
COMPONENTS = range(1, 11)


# ---- forecasts -------------------------------------------------------------------------------------------------------


def forecast(method: str, one: Set, folder: Path, seed: int | None) -> Answers:
    """Forecasts of each series from all rows before: a model is chosen and fitted once, on all rows before the test;
    then each row of the test brings it up to date."""
    asked = task(one, folder)
    table = pd.read_csv(asked["path"])
    FORECASTS[method](table[table["series"] == table["series"].iloc[0]], asked)  # compiles what is compiled
    start = perf_counter()
    found = FORECASTS[method](table, asked)
    return Answers(*found[:2], perf_counter() - start, found[2])


def persistence(table: pd.DataFrame, asked: Fragment) -> Forecasts:
    """The last known value again and again."""
    return _repeat(table, asked, 1)


def seasonal_naive(table: pd.DataFrame, asked: Fragment) -> Forecasts:
    """The last known season again and again."""
    return _repeat(table, asked, asked["season"])


def _repeat(table: pd.DataFrame, asked: Fragment, rows: int) -> Forecasts:
    steps, made, truth, names = np.arange(asked["horizon"]), list[NDArray](), list[NDArray](), list[str]()
    for name, values, first in _series(table, asked):
        for begin in range(first, len(values) - asked["horizon"] + 1):
            made.append(values[begin - rows + steps % rows])
            truth.append(values[begin + steps])
            names.append(name)
    return np.array(made), np.array(truth), tuple(names)


def _series(table: pd.DataFrame, asked: Fragment) -> list[tuple[str, NDArray, int]]:
    """Name, values, and the row at which the test begins."""
    return [
        (str(name), rows["value"].to_numpy(), int((rows["date"] < asked["split"][1]).sum()))
        for name, rows in table.groupby("series", sort=False)
    ]


def to_frame(table: pd.DataFrame) -> pd.DataFrame:
    """As statsforecast wants it. A further column would be a regressor that is known for the future, too."""
    return pd.DataFrame({"unique_id": table["series"], "ds": pd.to_datetime(table["date"]), "y": table["value"]})


def statsforecast(name: str) -> Callable[[pd.DataFrame, Fragment], Forecasts]:
    """A model of that library, one for each series."""

    def compute(table: pd.DataFrame, asked: Fragment) -> Forecasts:
        import statsforecast
        from statsforecast import models

        tests = {len(values) - first for _, values, first in _series(table, asked)}
        assert len(tests) == 1
        model = getattr(models, name)(season_length=asked["season"])
        frame = to_frame(table)
        found = statsforecast.StatsForecast([model], freq={4: "QS", 12: "MS"}[asked["season"]], n_jobs=1)
        made = found.cross_validation(
            asked["horizon"], frame, n_windows=tests.pop() - asked["horizon"] + 1, step_size=1, refit=False
        ).sort_values(["unique_id", "cutoff", "ds"])
        names = made["unique_id"].to_numpy()[:: asked["horizon"]]
        shape = -1, asked["horizon"]
        return made[name].to_numpy().reshape(shape), made["y"].to_numpy().reshape(shape), tuple(map(str, names))

    return compute


FORECASTS: Mapping[str, Callable[[pd.DataFrame, Fragment], Forecasts]] = {
    "persistence": persistence,
    "seasonal naive": seasonal_naive,
    "AutoETS": statsforecast("AutoETS"),
    "AutoARIMA": statsforecast("AutoARIMA"),
}


# ---- classes ---------------------------------------------------------------------------------------------------------


def classify(method: str, one: Set, folder: Path, seed: int | None) -> Answers:
    """From all training sequences, those for validation included."""
    table = pd.read_csv(task(one, folder)["path"])
    known, new = (sequences(table[table["part"].isin(parts)]) for parts in (("train", "valid"), ("test",)))
    names = np.unique(known[1])
    longest = max(one.shape[1] for one in [*known[0], *new[0]])
    CLASSIFIERS[method](seed, longest).fit(*known).predict(new[0][:2])  # compiles what is compiled
    start = perf_counter()
    answers = CLASSIFIERS[method](seed, longest).fit(*known).predict(new[0])
    chosen, truth = ((np.asarray(values)[:, None] == names).astype(float) for values in (answers, new[1]))
    return Answers(chosen, truth, perf_counter() - start)


def sequences(table: pd.DataFrame) -> tuple[list[NDArray] | NDArray, NDArray]:
    """[I, T] of each sequence, as one array where all are of one length, and their classes."""
    channels = [name for name in table if name.startswith("x")]
    groups = [rows for _, rows in table.groupby("sequence", sort=False)]
    values = [np.ascontiguousarray(rows[channels].to_numpy().T) for rows in groups]
    same = len({one.shape for one in values}) == 1
    return np.stack(values) if same else values, np.array([rows["class"].iloc[0] for rows in groups])


def _minirocket(seed: int | None, longest: int) -> Any:
    """Shorter sequences are padded by zeros."""
    from aeon.classification.convolution_based import MiniRocketClassifier
    from aeon.transformations.collection.unequal_length import Padder
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Padder(padded_length=longest, fill_value=0.0), MiniRocketClassifier(random_state=seed))


def _dtw(seed: int | None, longest: int) -> Any:
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    return KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw")


CLASSIFIERS: Mapping[str, Callable[[int | None, int], Any]] = {"MiniRocket": _minirocket, "1-NN DTW": _dtw}


# ---- numbers ---------------------------------------------------------------------------------------------------------


def regress(method: str, one: Set, folder: Path, seed: int | None) -> Answers:
    """Over all folds of the seed's cross-validation."""
    folds = [TASKS.build(task(one, folder, split)).data() for split in splits(one, seed or 0)]
    return Answers.join([_of_fold(method, data) for data in folds])


def _of_fold(method: str, data: Data) -> Answers:
    start = perf_counter()
    known, new = [_unfold(split) for split in (data.train, data.valid)], _unfold(data.test)
    made = NUMBERS[method](known[0], known[1], new[0])
    assert data.chart is not None
    return Answers(data.chart.inverse_transform(made), data.chart.truth, perf_counter() - start, (), data.chart.targets)


def _unfold(split: Any) -> tuple[NDArray, NDArray]:
    """Batches [B, T, I] as rows [B, T · I], and what is asked for [B, O]; both as networks see them."""
    assert isinstance(split, Sequences)
    return split.inputs.reshape(len(split), -1).astype(float), split.last_steps(split.targets).astype(float)


def partial_least_squares(train: Any, valid: Any, inputs: NDArray) -> NDArray:
    """Components are chosen on validation data; then both parts are fitted together."""
    from sklearn.cross_decomposition import PLSRegression

    def error(count: int) -> float:
        return float(np.square(PLSRegression(count).fit(*train).predict(valid[0]) - valid[1]).mean())

    both = [np.concatenate(parts) for parts in zip(train, valid, strict=True)]
    return np.asarray(PLSRegression(min(COMPONENTS, key=error)).fit(*both).predict(inputs))


def mean_of_known(train: Any, valid: Any, inputs: NDArray) -> NDArray:
    """The same answer to everything."""
    mean = np.concatenate([train[1], valid[1]]).mean(axis=0)
    return np.repeat(mean[None], len(inputs), axis=0)


NUMBERS: Mapping[str, Any] = {"mean": mean_of_known, "partial least squares": partial_least_squares}

# ----------------------------------------------------------------------------------------------------------------------

ANSWERING = {"forecast": forecast, "classify": classify, "regress": regress}
METHODS = {"forecast": FORECASTS, "classify": CLASSIFIERS, "regress": NUMBERS}
SEEDED = ("MiniRocket", "mean", "partial least squares")  # the last two by the split


def methods(one: Set) -> list[tuple[str, tuple[int | None, ...]]]:
    """The references of a set, with the seeds of each."""
    return [(name, one.seeds if name in SEEDED else (None,)) for name in METHODS[one.task["kind"]]]


def answer(method: str, one: Set, folder: Path, seed: int | None) -> Answers:
    """What a reference answers on test."""
    return ANSWERING[one.task["kind"]](method, one, folder, seed)
