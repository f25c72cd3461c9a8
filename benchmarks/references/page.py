"""What came out, as tables: for the terminal, and as docs/results/references.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TypeAlias

from benchmarks.references.parts import BY_HAND, METHODS, Set
from benchmarks.references.scores import LOWER, MEASURES, Outcome
from evornn.experiments.analysis.narrative import number
from evornn.store.store import Store

HEAD = """# Against what practitioners take
"""
Found: TypeAlias = tuple[Set, Sequence[Outcome]]
NETWORKS = (BY_HAND, *METHODS)
NAMES = {"evolution": "evornn, evolution", "gradient": "evornn, gradient", "hybrid": "evornn, hybrid"}
INTRODUCTIONS = {
    "forecasting": "",
    "classification": "",
    "quality": "",
}
MEANINGS = {"mase": "MASE", "accuracy": "accuracy", "relative_rmse": "relative RMSE"}
DETAILS = {"forecast": ("rmse", "RMSE of each series"), "regress": ("r2", "R² of each tag")}


def section(part: str, found: Sequence[Found]) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"\n## {part.capitalize()}\n"
    yield INTRODUCTIONS[part]
    for one, outcomes in found:
        yield f"\n### {one.title}\n\nData: {one.source}.\n"
        if missing := [NAMES[method] for method in METHODS if not _of(outcomes, method)]:
            yield f"Not run to the end: {', '.join(missing)}.\n"
        yield from table(one, outcomes)
        yield ""
        yield from (f"- {sentence}" for sentence in verdicts(one, outcomes))
        yield from details(one, outcomes)


def table(one: Set, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row for each method, the best first."""
    measure = MEASURES[one.task["kind"]]
    items = _items(outcomes)
    won = len(items) > 1
    columns = ["method", MEANINGS[measure], *(["best of"] if won else []), "seconds", "time", "settings"]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|--:|{'--:|' * won}--:|--:|---|"
    own = _seconds(outcomes, "gradient")
    for method in sorted(_methods(outcomes), key=lambda method: _rank(outcomes, method, measure)):
        found = _of(outcomes, method)
        seconds = _seconds(outcomes, method)
        ratio = "–" if own is None or seconds is None else number(seconds / own, 2)
        wins = [f"{sum(best(outcomes, item, measure) == method for item in items)} of {len(items)}"] if won else []
        settings = found[0].settings or "–"
        yield f"| {' | '.join([_name(method), interval(found, measure), *wins, number(seconds, 3), ratio, settings])} |"


def details(one: Set, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row for each series, or for all that is asked for, with the medians over seeds; the best one in bold."""
    if one.task["kind"] not in DETAILS:
        return
    measure, title = DETAILS[one.task["kind"]]
    methods = _methods(outcomes)
    yield f"\n{title}, medians over seeds:\n"
    yield f"| | {' | '.join(map(_name, methods))} |"
    yield f"|---|{'--:|' * len(methods)}"
    for item in _items(outcomes):
        first = best(outcomes, item, measure)
        values = {method: number(_median(outcomes, method, item, measure), 3) for method in methods}
        cells = [f"**{value}**" if method == first else value for method, value in values.items()]
        yield f"| {item} | {' | '.join(cells)} |"


def verdicts(one: Set, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """evornn's best method, by its median, beside each of the others: better or worse only where all seeds agree."""
    measure = MEASURES[one.task["kind"]]
    own = [method for method in METHODS if _of(outcomes, method)]
    if not own:
        return
    leader = min(own, key=lambda method: _rank(outcomes, method, measure))
    for other in _methods(outcomes):
        if other not in METHODS:
            yield _verdict(outcomes, leader, other, measure)


def _verdict(outcomes: Sequence[Outcome], leader: str, other: str, measure: str) -> str:
    ours, theirs = (_of(outcomes, method) for method in (leader, other))
    low, high = (sorted(_badness(one, measure) for one in found) for found in (ours, theirs))
    beside = f"{MEANINGS[measure]} {interval(theirs, measure)} against {interval(ours, measure)} of {_name(leader)}"
    if low[0] > high[-1]:
        better = "is better than every network of evornn" if other not in NETWORKS else "is better than evornn"
        return f"**{_name(other)} {better}**: {beside}."
    if low[-1] < high[0]:
        return f"{_name(other)} is worse: {beside}."
    return f"No difference shown to {_name(other)}: {beside}."


def machine(store: Store) -> str:
    """Where the runs were computed, and how long they took."""
    runs = store.runs(state="succeeded")
    environment = store.result(runs[0].id).environment if runs else {}
    minutes = sum(run.seconds or 0.0 for run in runs) / 60
    cost = f"{len(runs)} runs, searches included: {number(minutes, 3)} min of computing time on one core"
    return f"\nevornn's {cost} of {environment.get('cpu')}, {environment.get('commit')}."


# ---- numbers ---------------------------------------------------------------------------------------------------------


def interval(found: Sequence[Outcome], measure: str) -> str:
    """Median over seeds [least, largest]."""
    values = sorted(one.mean(measure) for one in found)
    middle = number(median(values), 3)
    return middle if len(values) == 1 else f"{middle} [{number(values[0], 3)}, {number(values[-1], 3)}]"


def best(outcomes: Sequence[Outcome], item: str, measure: str) -> str:
    """The method whose median over seeds is the best one for a series."""
    sign = 1 if LOWER[measure] else -1
    return min(_methods(outcomes), key=lambda method: sign * _median(outcomes, method, item, measure))


def _median(outcomes: Sequence[Outcome], method: str, item: str, measure: str) -> float:
    return median(one.scores[item][measure] for one in _of(outcomes, method))


def _rank(outcomes: Sequence[Outcome], method: str, measure: str) -> float:
    return median(_badness(one, measure) for one in _of(outcomes, method))


def _badness(one: Outcome, measure: str) -> float:
    return one.mean(measure) if LOWER[measure] else -one.mean(measure)


def _seconds(outcomes: Sequence[Outcome], method: str) -> float | None:
    found = _of(outcomes, method)
    return median(one.seconds for one in found) if found else None


def _of(outcomes: Sequence[Outcome], method: str) -> list[Outcome]:
    return [one for one in outcomes if one.method == method]


def _methods(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(one.method for one in outcomes))


def _items(outcomes: Sequence[Outcome]) -> list[str]:
    return list(outcomes[0].scores) if outcomes else []


def _name(method: str) -> str:
    return NAMES.get(method, method)
