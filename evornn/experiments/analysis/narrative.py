"""A comparison in plain words. Each sentence says no more than the numbers beside it support."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, isinf

from evornn.experiments.analysis.comparison import (
    Comparison,
    Pair,
    PairwiseTests,
    Ranking,
    ResultCell,
    TaskComparison,
    TuningSummary,
    Verdict,
)

FACTOR_LIMIT = 10.0  # a larger difference is given as a factor instead of a percentage
LISTED_PAIRS = 6  # pairs without a difference, beyond which a sentence gives their number only


def experiment_size(comparison: Comparison) -> str:
    """The number of networks, trainers, seeds and tasks, and how many runs failed."""
    cells = [cell for task in comparison.tasks for cell in task.cells]
    counts = [
        plural(len({cell.network for cell in cells}), "network"),
        plural(len({cell.trainer for cell in cells}), "trainer"),
        plural(max(task.seeds for task in comparison.tasks), "seed"),
        plural(len(comparison.tasks), "task"),
    ]
    failed, total = sum(cell.failed for cell in cells), sum(cell.runs for cell in cells)
    outcome = f"all {total} runs succeeded" if not failed else f"{failed} of {total} runs failed"
    return f"{' × '.join(counts)}: {outcome}."


def summary(comparison: Comparison) -> list[str]:
    """The answers, a sentence or two per line: how large, then for each task which family is better and which network
    was chosen, then the ranks over tasks."""
    lines = [experiment_size(comparison)]
    for task in comparison.tasks:
        name = f"{task.task}: " if len(comparison.tasks) > 1 else ""
        answer, tests, *network = answers(task, comparison.alpha)
        lines += [f"{name}{answer} {tests}", " ".join(network)]
    return [*lines, *describe_ranking(comparison.ranking, comparison.alpha), *comparison.notes]


def answers(task: TaskComparison, alpha: float) -> list[str]:
    """What people ask, in their order: gradient, evolution or both, how sure that is, and which network to take."""
    return [*families(task, alpha), choice(task), compare_with_baselines(task)]


def by_result(task: TaskComparison) -> list[ResultCell]:
    """The rows of a task's table, the lowest median test loss first, failures last."""
    return sorted(task.cells, key=lambda cell: (not isfinite(cell.test.median), cell.test.median))


def choice(task: TaskComparison) -> str:
    """The network chosen on validation data, and its test loss."""
    if task.chosen is None:
        return "No run ended with a finite validation loss, so there is no network to choose."
    c = task.chosen
    return (
        f"Chosen on validation data: {c.network} trained by {c.trainer} (run {c.run}, seed {c.seed}), "
        f"validation loss {number(c.valid)}, test loss {number(c.test)}."
    )


def compare_with_baselines(task: TaskComparison) -> str:
    """Which baselines the chosen network beats on test, and which not."""
    if task.chosen is None or not task.chosen.verdicts:
        return "There is no baseline to compare it with." if task.chosen else "No baseline is beaten."
    beaten = [v for v in task.chosen.verdicts if v.beaten]
    unbeaten = [v for v in task.chosen.verdicts if not v.beaten]
    if not unbeaten:
        return f"On the test split it beats every baseline: {_margins(beaten)}."
    if not beaten:
        return f"On the test split it beats none of the baselines: {_margins(unbeaten)}."
    return f"On the test split it does not beat {_margins(unbeaten)}; it beats {_margins(beaten)}."


def families(task: TaskComparison, alpha: float) -> tuple[str, str]:
    """Gradient, evolution, hybrid: which is ahead, by how much and in how many seeds; and what the test supports."""
    if len(task.families) < 2:
        return (
            f"All trainers are of one family ({task.families[0][0]}).",
            "There is nothing to compare between families.",
        )
    (first, best), *others = task.families
    margins = (_behind(first, best.median, name, spread.median, task.contest_of_families) for name, spread in others)
    answer = f"{first.capitalize()} is ahead with a median test loss of {number(best.median)}: {join_names(margins)}."
    return answer, describe_tests(task.contest_of_families, alpha)


def _behind(first: str, best: float, name: str, loss: float, contest: PairwiseTests) -> str:
    """How far a family is behind the first one, and in how many seeds."""
    by = _percent((best - loss) / abs(loss), loss) if loss and isfinite(loss) else "lower"
    pair = next((pair for pair in contest.pairs if {pair.a, pair.b} == {first, name}), None)
    wins = None if pair is None else pair.a_wins if pair.a == first else pair.b_wins
    seeds = "" if pair is None or wins is None else f" (in {wins} of {plural(pair.count, 'seed')})"
    return f"{by} than {number(loss)} of {name}{seeds}"


def describe_tests(contest: PairwiseTests, alpha: float) -> str:
    """The differences below alpha after correction, and the pairs without one."""
    if not contest.test:
        reason = contest.note[:1].upper() + contest.note[1:]
        return f"Which is better is not settled. {reason}" if contest.pairs else reason
    significant = [p for p in contest.pairs if p.better is not None]
    undecided = _describe_undecided([p for p in contest.pairs if p.better is None], others=bool(significant))
    undecided_text = f"no difference could be shown {undecided}" if undecided else ""
    if not significant:
        return f"{undecided_text[:1].upper()}{undecided_text[1:]} (all p ≥ {alpha:g}; {contest.test})."
    most = max(p.corrected for p in significant if p.corrected is not None)
    evidence = f"(p ≤ {number(most, 2)}; {contest.test})"
    return f"Test losses are lower {_list_winners(significant)} {evidence}{undecided_text and '; ' + undecided_text}."


def describe_ranking(ranking: Ranking, alpha: float) -> list[str]:
    """The trainers' mean ranks over tasks, the differences that the test supports, and the note."""
    means = join_names(f"{name} {mean:.2f}" for name, mean in zip(ranking.trainers, ranking.means, strict=False))
    mean_ranks = f"Mean ranks over {plural(len(ranking.tasks), 'task')}, 1 being best: {means}." if means else ""
    note = ranking.note[:1].upper() + ranking.note[1:]
    return [sentence for sentence in (mean_ranks, _describe_ranking_test(ranking, alpha), note) if sentence]


def describe_target(task: TaskComparison) -> str:
    """The target that success is measured by, in words."""
    if task.headline is None:
        return "none"
    who = f"that of {task.headline.name}" if task.headline.baseline else f"reached by {task.headline.name}"
    return f"validation loss {number(task.headline.loss)}, {who}"


TUNING = (
    "Each method was given the same number of trials, on the same seeds with the same budget; none of these seeds is "
    "used above. A trial's loss is its validation loss, the median over its seeds; the test split was not used. A "
    "trainer with “(tuned)” has the settings below, the others their defaults. The cost of tuning comes on top of the "
    "budget of the runs above."
)


def settings(tuned: TuningSummary) -> str:
    """The best settings of a tuning. Settings of the trainer stand alone; others name their part, network or task."""
    values = {name.removeprefix("trainer."): value for name, value in tuned.settings.items()}
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def difference(margin: float, baseline: float = 1.0) -> str:
    """How far a loss is above or below a baseline's, for a column of a table.

    Args:
        margin: Relative to the baseline's loss.
        baseline: That loss, which is not above 0 for a perfect baseline or a task of rewards.
    """
    if not isfinite(margin):
        return "∞" if margin > 0 else "–"
    is_factor = margin > FACTOR_LIMIT and baseline > 0
    return f"× {1 + margin:.3g}" if is_factor else f"{margin:+.1%}".replace("%", " %")


def number(value: float | None, digits: int = 4) -> str:
    """A number for readers: 4 significant digits, 1.2 M for millions; a dash if it is unknown.

    >>> number(0.123456), number(1_234_567), number(None)
    ('0.1235', '1.23 M', '–')
    """
    if value is None or not isfinite(value):
        return "∞" if value is not None and isinf(value) else "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g} {unit}"
    return f"{value:#.{digits}g}".removesuffix(".")


def plural(count: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join_names(items: Iterable[str]) -> str:
    """a, b and c."""
    items = list(items)
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)


def _describe_ranking_test(ranking: Ranking, alpha: float) -> str:
    if ranking.p is None:
        return ""
    p_value = f"(p = {number(ranking.p, 2)}; {ranking.test})"
    if ranking.p >= alpha:
        return f"No difference over tasks could be shown {p_value}."
    if ranking.better is not None:
        return f"Over tasks, test losses are lower for {ranking.better} {p_value}."
    cliques = join_names(f"within {{{', '.join(group)}}}" for group in ranking.alike)
    conclusion = f"no difference could be shown {cliques}; all other pairs differ" if cliques else "all pairs differ"
    if ranking.alike == (ranking.trainers,):
        conclusion = "it is not possible to say which"
    nemenyi = f"By Nemenyi's critical difference of mean ranks, {number(ranking.critical, 3)},"
    return f"The trainers differ over tasks {p_value}. {nemenyi} {conclusion}."


def _describe_undecided(pairs: Sequence[Pair], others: bool) -> str:
    """The pairs by name, or by their number where a list would be too long to read."""
    if len(pairs) > LISTED_PAIRS:
        return f"in {'the other' if others else 'any of the'} {len(pairs)} pairs"
    return f"between {join_names(f'{p.a} and {p.b}' for p in pairs)}" if pairs else ""


def _list_winners(pairs: Sequence[Pair]) -> str:
    """For each winner, whom it beats; those that win most first."""
    losers: dict[str, list[str]] = {}
    for p in pairs:
        losers.setdefault(str(p.better), []).append(p.b if p.better == p.a else p.a)
    ordered = sorted(losers.items(), key=lambda item: -len(item[1]))
    return "; ".join(f"for {name} than for {join_names(others)}" for name, others in ordered)


def _margins(verdicts: Sequence[Verdict]) -> str:
    return join_names(f"{v.baseline} ({number(v.loss)}, {_percent(v.margin, v.loss)})" for v in verdicts)


def _percent(margin: float, baseline: float) -> str:
    if not isfinite(margin):
        if baseline == 0:
            return f"the network is {'above' if margin > 0 else 'below'} 0"
        return "the network's loss is not finite"
    if margin > FACTOR_LIMIT and baseline > 0:
        return f"{1 + margin:.3g} times as high"
    return f"{abs(margin):.1%} {'lower' if margin < 0 else 'higher'}".replace("%", " %")
