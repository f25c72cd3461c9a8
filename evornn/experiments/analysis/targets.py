"""Fixed targets, and the cost at which each run reached them.

Targets are losses that don't depend on a trainer: those of the spec (training loss, hit exactly), the validation loss
of each baseline, and quantiles over all compared runs. Hits of validation targets are read from the curves at budget
marks, so a runtime is exact to one mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evornn.experiments.analysis.statistics import Sample, nan_to_inf
from evornn.tasks.core.task import Baseline

if TYPE_CHECKING:
    from pandas import DataFrame

QUANTILES = {"half of all runs": 0.5, "the best tenth of all runs": 0.1}
RUNGS = 20


@dataclass(frozen=True)
class Target:
    """A loss to reach. `measure`: "validation" (of the champion at budget marks) or "training" (hit exactly)."""

    name: str
    loss: float
    measure: str = "validation"
    baseline: bool = False


@dataclass(frozen=True)
class Track:
    """A run's champion over its M budget marks: network steps, seconds and validation loss, each [M]."""

    network_steps: Sample
    seconds: Sample
    champion_valid: Sample


@dataclass(frozen=True)
class TaskRuns:
    """The runs of a task and its targets."""

    runs: DataFrame
    targets: tuple[Target, ...]
    unit: float = 1.0  # of cost, in network steps

    def of_trainer(self, trainer: str) -> TaskRuns:
        """The runs of one trainer."""
        return replace(self, runs=self.runs[self.runs["trainer"] == trainer])

    def start(self, tracks: Mapping[int, Track]) -> float:
        """Cost of the first budget mark; infinite if no run has reached it."""
        firsts = (track.network_steps[1] for track in _tracks_of(self.runs, tracks) if len(track.network_steps) > 1)
        return float(min(firsts, default=np.inf)) / self.unit


def targets(runs: DataFrame, baselines: Sequence[Baseline]) -> tuple[Target, ...]:
    """The targets of one task, easiest first; `runs` are all runs on it."""
    declared = {text for hits in runs["hits"] if isinstance(hits, Mapping) for text in hits}
    goals = [Target(f"training loss {text}", float(text), "training") for text in declared]
    goals += [Target(b.name, float(b.valid), baseline=True) for b in baselines if np.isfinite(b.valid)]
    finals = np.sort(runs["valid_loss"].to_numpy(float))
    finals = finals[np.isfinite(finals)]
    goals += [Target(name, float(np.quantile(finals, q))) for name, q in QUANTILES.items() if len(finals)]
    return tuple(sorted(goals, key=lambda target: (target.measure, -target.loss)))


def headline(candidates: Sequence[Target], runs: DataFrame, tracks: Mapping[int, Track]) -> Target | None:
    """The target that success rates refer to: the best baseline, or if no run reaches it, half of all runs.

    Args:
        candidates: Targets of the task.
        runs: Runs on the task.
        tracks: Run → its track.
    """
    best = min((t for t in candidates if t.baseline), key=lambda t: t.loss, default=None)
    if best is not None and costs(runs, tracks, best)[1].any():
        return best
    return next((t for t in candidates if t.name in QUANTILES), best)


def ladder(runs: DataFrame, tracks: Mapping[int, Track]) -> tuple[Target, ...]:
    """Targets for the ECDF of runtimes, evenly spaced on a logarithmic scale from the initial to the best loss."""
    finite = [track.champion_valid[np.isfinite(track.champion_valid)] for track in _tracks_of(runs, tracks)]
    finite = [losses for losses in finite if len(losses)]
    if not finite:
        return ()
    start, end = float(np.median([losses[0] for losses in finite])), float(min(losses.min() for losses in finite))
    rungs = np.geomspace(start, end, RUNGS) if end > 0 else np.linspace(start, end, RUNGS)
    return tuple(Target(f"{loss:.4g}", float(loss)) for loss in [*rungs[1:-1], end])


def costs(runs: DataFrame, tracks: Mapping[int, Track], target: Target) -> tuple[Sample, np.ndarray]:
    """The cost at which each run reached a target.

    Args:
        runs: The R runs.
        tracks: Run → its track.
        target: The target.

    Returns:
        Network steps until the target, or all of a run's steps if it never reached it [R]; and whether it did [R]. A
        failed run never did, whatever its curve says, since it has no network.
    """
    spent, reached = np.zeros(len(runs)), np.zeros(len(runs), bool)
    for k, row in enumerate(runs.itertuples()):
        track = tracks.get(row.run)
        hit = _training_hit(row.hits, target) if target.measure == "training" else _validation_hit(track, target)
        hit = hit if row.state == "succeeded" else None
        reached[k] = hit is not None
        spent[k] = _total_steps(row.network_steps, track) if hit is None else hit
    return spent, reached


def tracks(curves: DataFrame) -> dict[int, Track]:
    """Run → its track, in the order of its marks."""
    return {int(run): _track(group) for run, group in curves.sort_values(["run", "mark"]).groupby("run")}


def _track(group: DataFrame) -> Track:
    steps, seconds, valid = (group[c].to_numpy(float) for c in ("network_steps", "seconds", "champion_valid"))
    return Track(steps, seconds, nan_to_inf(valid))


def _training_hit(hits: object, target: Target) -> float | None:
    cost = {float(k): v for k, v in hits.items()}.get(target.loss) if isinstance(hits, Mapping) else None
    return None if cost is None else float(cost)


def _validation_hit(track: Track | None, target: Target) -> float | None:
    if track is None or not (at := track.champion_valid <= target.loss).any():
        return None
    return float(track.network_steps[int(at.argmax())])


def _total_steps(network_steps: float, track: Track | None) -> float:
    """All network steps of a run; of a failed one, up to its last mark."""
    if network_steps is not None and np.isfinite(network_steps):
        return float(network_steps)
    return float(track.network_steps[-1]) if track is not None and len(track.network_steps) else 0.0


def _tracks_of(runs: DataFrame, tracks: Mapping[int, Track]) -> list[Track]:
    return [tracks[run] for run in runs["run"] if run in tracks]
