"""Sections as tables: in the terminal, and as docs/results/papers.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.papers.claims import ClaimResult
from benchmarks.papers.rules import RULES
from benchmarks.papers.running import Measurement
from benchmarks.papers.section import Section
from evornn.experiments.analysis.statistics import Interval

HEAD = """# Published tables

Experiments from the literature, repeated with evornn: published numbers beside those of evornn with a 95 % interval.
*Reproduced* has the meaning that each section states, at 95 %; *open* means that the interval contains the limit.
Results that are not reproduced are listed with their likely cause.

`python -m benchmarks.papers --page > docs/results/papers.md` generates this page from the runs in `papers.db`;
`python -m benchmarks.papers NAME` computes a section, and resumes after an interruption.
"""
COLUMNS = ("", "published", "evornn", "95 %", "runs", "solved", "verdict")


def table(section: Section, measurements: Sequence[Measurement]) -> Table:
    """One section for the terminal."""
    rows = Table(*COLUMNS, box=None, title=f"{section.title}: {section.unit}")
    for column in rows.columns[1:-1]:
        column.justify = "right"
    for measured in measurements:
        rows.add_row(*_cells(measured))
    return rows


def claims(verdicts: Sequence[ClaimResult]) -> list[str]:
    """What the paper says about the order of the lines, and whether it is so here; one line of text each."""
    return [f"{_claim(judged)} (p = {judged.p:.2g}): {judged.verdict}" for judged in verdicts]


def markdown(
    section: Section,
    measurements: Sequence[Measurement],
    claimed: Sequence[ClaimResult],
    environments: Sequence[Mapping[str, object]],
) -> str:
    """One section for the page."""
    lines = [COLUMNS, ["---", "--:", "--:", "--:", "--:", "--:", "---"], *map(_cells, measurements)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    departures = "\n".join(f"- {departure}" for departure in section.departures)
    machine = "; ".join(_machine(environment) for environment in environments) or "not run yet"
    hours = sum(measured.seconds for measured in measurements) / 3600
    return (
        f"\n## {section.name}: {section.title}\n\n{section.source}. {section.unit[0].upper()}{section.unit[1:]}; "
        f"{_meaning(section)}\n\n{rows}\n\n{_claims(claimed)}"
        f"Differences from the published protocol:\n\n{departures}\n\n"
        f"Computing time: {hours:.2g} h on one core; {machine}.\n"
    )


def _meaning(section: Section) -> str:
    meaning = RULES[section.reproduced].meaning.format(section.tolerance)
    return meaning + (f"; no run may exceed {section.bound:g}." if section.bound is not None else ".")


def _claims(verdicts: Sequence[ClaimResult]) -> str:
    told = "".join(f"- {line}\n" for line in claims(verdicts))
    return f"Order (Mann–Whitney's test, Holm's correction):\n\n{told}\n" if verdicts else ""


def _claim(judged: ClaimResult) -> str:
    claim = judged.claim
    return f"{claim.higher} above {claim.lower}" + (f" by more than {claim.by:g}" if claim.by else "")


def _cells(measured: Measurement) -> list[str]:
    published = measured.line.published
    told = "–" if published is None else _number(published)
    runs = str(measured.runs) + (f" ({measured.failed} failed)" if measured.failed else "")
    ours, interval = ("–", "–") if measured.ours is None else (_number(measured.ours.value), _interval(measured.ours))
    return [measured.line.name, told, ours, interval, runs, str(measured.solved), measured.verdict]


def _interval(ours: Interval) -> str:
    return f"{_number(ours.low)} … {_number(ours.high)}"


def _number(value: float) -> str:
    if value == float("inf"):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine(environment: Mapping[str, object]) -> str:
    return (
        f"evornn {environment['commit'] or environment['evornn']}, {environment['cpu']}, {environment['cores']} cores, "
        f"backend {environment['backend']}"
    )
