"""`compare(runs, curves)`: which trainer, which network, by how much, and how sure. Frames in, plain records out.

`runs` has a row per run: run, task, network, trainer, seed, state, n, train_loss, valid_loss, test_loss, network_steps,
evaluations, updates, seconds, stopped_by, hits, score, test_score, solved, rmse, mae, mase, r2, forecast_errors;
`curves` a row per run and budget mark, as `training.records.Row`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.experiments.analysis import statistics, targets
from evornn.experiments.analysis.comparison import (
    ChosenRun,
    Comparison,
    ResultCell,
    ScoreSummary,
    TargetResult,
    TaskComparison,
    Verdict,
)
from evornn.experiments.analysis.overall import overall_results, ranking, reference, scales, unscaled_note
from evornn.experiments.analysis.pairwise_tests import compare_pairs, losses_by_seed
from evornn.experiments.analysis.targets import Target, Track
from evornn.tasks.core.forecast_errors import LABELS, ForecastErrors
from evornn.tasks.core.task import Baseline

if TYPE_CHECKING:
    from pandas import DataFrame

RUN_COLUMNS = (
    "run",
    "task",
    "network",
    "trainer",
    "seed",
    "state",
    "n",
    "valid_loss",
    "test_loss",
    "network_steps",
    "seconds",
)
CURVE_COLUMNS = ("run", "mark", "network_steps", "champion_valid", "seconds")
ERRORS = tuple(LABELS)
Baselines = Mapping[str, Sequence[Baseline]]


def compare(
    runs: DataFrame,
    curves: DataFrame,
    families: Mapping[str, str] | None = None,
    baselines: Baselines | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """Compare all finished runs, task by task.

    A failed run counts as the worst. Unfinished and cancelled runs are left out, with a note.

    Args:
        runs: A row per run, with the columns listed above.
        curves: A row per run and budget mark.
        families: Trainer → gradient, evolution, hybrid or guessing.
        baselines: Task → its baselines.
        alpha: Significance level of all tests.
        seed: Seed of the bootstrap.

    Raises:
        EvornnError: No run has finished, or a column is missing.
    """
    done, notes = finished_runs(runs, families or {})
    _check_columns(curves, CURVE_COLUMNS, "curves")
    baselines, tracks, streams = baselines or {}, targets.tracks(curves), Streams(seed, "compare")
    tasks = [
        _task(task, runs, group, tracks, baselines.get(task, ()), alpha, streams.child(task))
        for task, group in done.groupby("task", sort=False)
    ]
    scale = scales(done, baselines)
    return Comparison(
        tasks=tuple(tasks),
        overall=overall_results(done, scale, streams),
        reference=reference(baselines),
        ranking=ranking(done, scale, alpha, streams),
        trainers=dict(zip(done["trainer"], done["family"], strict=True)),
        notes=(*notes, *unscaled_note(scale)),
        alpha=alpha,
    )


def finished_runs(runs: DataFrame, families: Mapping[str, str]) -> tuple[DataFrame, list[str]]:
    """The runs that can be compared, and notes on the others. A column `family` is added; failed runs have infinite
    losses."""
    _check_columns(runs, RUN_COLUMNS, "runs")
    done = runs[runs["state"].isin(["succeeded", "failed"])].sort_values("run", kind="stable").copy()
    if done.empty:
        raise EvornnError("nothing to compare: no run has finished yet; see `evornn ls`, or use `evornn resume`")
    for column in ("hits", "score", "test_score", "solved", *ERRORS, "forecast_errors", "error"):
        done[column] = done.get(column, None)
    _mark_diverged(done)
    for column in ("seconds", "network_steps"):
        done[column] = done[column].astype(float)
    for loss in ("valid_loss", "test_loss"):
        done[loss] = statistics.nan_to_inf(done[loss].where(done["state"] == "succeeded").to_numpy(float))
    done["family"] = [families.get(trainer, "other") for trainer in done["trainer"]]
    notes = _note_unfinished(runs) + _note_failures(done)
    newest = done.drop_duplicates(["task", "network", "trainer", "seed"], keep="last")
    if doubled := len(done) - len(newest):
        notes.append(f"{doubled} runs are repetitions of a later run with the same labels and seed; the latest counts.")
    return newest, notes


def _task(
    task: str,
    runs: DataFrame,
    done: DataFrame,
    tracks: Mapping[int, Track],
    baselines: Sequence[Baseline],
    alpha: float,
    streams: Streams,
) -> TaskComparison:
    goals = targets.targets(done, baselines)
    families = {name: statistics.summarise(group["test_loss"]) for name, group in done.groupby("family", sort=False)}
    networks = list(dict.fromkeys(done["network"]))
    contests = [compare_pairs("all networks", losses_by_seed(done, "trainer"), alpha)] if len(networks) > 1 else []
    contests += [
        compare_pairs(name, losses_by_seed(done[done["network"] == name], "trainer"), alpha) for name in networks
    ]
    return TaskComparison(
        task=str(task),
        states=runs[runs["task"] == task]["state"].value_counts().to_dict(),
        seeds=done["seed"].nunique(),
        budget=float(done[done["state"] == "succeeded"]["network_steps"].median()),
        cells=_rank_cells(
            [_cell(group, goals, tracks, streams) for _, group in done.groupby(["network", "trainer"], sort=False)]
        ),
        targets=goals,
        headline=targets.headline(goals, done, tracks),
        chosen=_choose_run(done, baselines),
        families=tuple(sorted(families.items(), key=lambda item: item[1].median)),
        contest_of_families=compare_pairs("families", losses_by_seed(done, "family"), alpha),
        contests=tuple(contests),
    )


def _cell(group: DataFrame, goals: Sequence[Target], tracks: Mapping[int, Track], streams: Streams) -> ResultCell:
    first = group.iloc[0]
    return ResultCell(
        network=str(first["network"]),
        trainer=str(first["trainer"]),
        family=first["family"],
        parameters=int(first["n"]),
        runs=len(group),
        failed=int((group["state"] == "failed").sum()),
        test=statistics.summarise(group["test_loss"]),
        valid=statistics.summarise(group["valid_loss"]),
        reached=tuple(_target_result(group, goal, tracks, streams) for goal in goals),
        seconds=float(group["seconds"].median()),
        network_steps=float(group["network_steps"].median()),
        rank=0,
        judged=_summarise_score(group),
        errors=_median_errors(group),
    )


def _summarise_score(group: DataFrame) -> ScoreSummary | None:
    done = group[group["score"].notna()]
    if done.empty:
        return None
    known = done["solved"].dropna()
    solved = int(known.astype(bool).sum()) if len(known) else None
    return ScoreSummary(str(done["score"].iloc[0]), statistics.summarise(done["test_score"].astype(float)), solved)


def _median_errors(group: DataFrame) -> ForecastErrors | None:
    done = group[group["forecast_errors"].map(bool)]
    if done.empty:
        return None
    medians = (done[name].astype(float).median(skipna=False) for name in ERRORS)
    return ForecastErrors(*(float(value) if np.isfinite(value) else None for value in medians))


def _target_result(group: DataFrame, goal: Target, tracks: Mapping[int, Track], streams: Streams) -> TargetResult:
    cost, hit = targets.costs(group, tracks, goal)
    rate = statistics.success_rate(int(hit.sum()), len(hit))
    return TargetResult(goal.name, int(hit.sum()), rate, statistics.expected_running_time_interval(cost, hit, streams))


def _rank_cells(cells: Sequence[ResultCell]) -> tuple[ResultCell, ...]:
    from dataclasses import replace

    def rank(cell: ResultCell) -> int:
        return 1 + sum(c.family == cell.family and c.valid.median < cell.valid.median for c in cells)

    return tuple(replace(cell, rank=rank(cell)) for cell in cells)


def _choose_run(done: DataFrame, baselines: Sequence[Baseline]) -> ChosenRun | None:
    """The run with the lowest validation loss of all; only afterwards is its test loss read."""
    best = done.loc[done["valid_loss"].idxmin()]
    if not np.isfinite(best["valid_loss"]):
        return None
    test = float(best["test_loss"])
    verdicts = [
        Verdict(
            b.name,
            float(b.test),
            test < b.test,
            _margin(test, b.test),
            int((done["test_loss"] < b.test).sum()),
            b.errors,
        )
        for b in baselines
        if np.isfinite(b.test)
    ]
    who = (int(best["run"]), str(best["network"]), str(best["trainer"]), str(best["family"]), int(best["seed"]))
    errors = {target: ForecastErrors(**values) for target, values in (best["forecast_errors"] or {}).items()}
    return ChosenRun(*who, float(best["valid_loss"]), test, tuple(verdicts), errors)


def _margin(loss: float, baseline: float) -> float:
    """How far a loss is above a baseline's, relative to it; infinite above a baseline of exactly 0."""
    if baseline > 0:
        return loss / baseline - 1
    if baseline == 0:
        return float(np.sign(loss) * np.inf) if loss else 0.0
    return (loss - baseline) / -baseline


def _note_unfinished(runs: DataFrame) -> list[str]:
    counts = runs[~runs["state"].isin(["succeeded", "failed"])]["state"].value_counts()
    return [
        f"{count} {'run is' if count == 1 else 'runs are'} {state} and left out." for state, count in counts.items()
    ]


def _mark_diverged(done: DataFrame) -> None:
    """Runs without one finite validation loss failed: they diverged. Stores of earlier versions count them as
    succeeded, with the untrained network as their champion."""
    succeeded = done["state"] == "succeeded"
    empty = succeeded & ~np.isfinite(done["valid_loss"].where(succeeded).to_numpy(float))
    done.loc[empty, ["state", "solved"]] = ["failed", False]
    errors = done["error"].fillna("").astype(str)
    done["diverged"] = empty | errors.str.startswith("diverged")


def _note_failures(done: DataFrame) -> list[str]:
    failed = done[done["state"] == "failed"]
    return [
        note
        for verb, group in (("failed", failed[~failed["diverged"]]), ("diverged", failed[failed["diverged"]]))
        for note in _note_worst(group, verb)
    ]


def _note_worst(group: DataFrame, verb: str) -> list[str]:
    if group.empty:
        return []
    who = (f"run {row.run} ({row.network}, {row.trainer}, seed {row.seed})" for row in group.head(5).itertuples())
    more = f" and {len(group) - 5} more" if len(group) > 5 else ""
    count = f"1 run {verb} and counts" if len(group) == 1 else f"{len(group)} runs {verb} and count"
    return [f"{count} as the worst: {', '.join(who)}{more}."]


def _check_columns(frame: DataFrame, columns: Sequence[str], what: str) -> None:
    if missing := [column for column in columns if column not in frame.columns]:
        raise EvornnError(f"the {what} to compare lack the column {missing[0]!r}: give {', '.join(columns)}")
