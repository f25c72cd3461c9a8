"""The page gradient_vs_evolution.md and its figures, from the finished runs of that example.

    python -m benchmarks.verdict [--spec NAME] [--store URL] [--folder docs/results] [--quick]

With `--spec gradient_vs_evolution_tuned` the page of that name, from the runs of `evornn tune`. With `--quick` two of
the tasks are computed first, with a hundredth of each budget, and nothing is kept: does it run?

What it says is computed: sentences are those of `evornn compare`, tables those of the store, figures the report's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.picture import save
from benchmarks.stored import job_of
from evornn import library
from evornn.errors import EvornnError
from evornn.experiments.analysis import narrative
from evornn.experiments.analysis.comparison import Comparison, PairwiseTests, ResultCell, TaskComparison
from evornn.experiments.analysis.narrative import number
from evornn.experiments.reporting.report import TaskSection, draw_sections
from evornn.experiments.reporting.report_figures import CaptionedFigure
from evornn.experiments.yaml import read
from evornn.service.reading.comparison_data import ComparisonData
from evornn.store.store import open_store

ROOT = Path(__file__).parent.parent
HEAD = """# {title}

`python -m benchmarks.verdict{option}` generates this page from the runs of `evornn {verb} examples/{name}.yaml`. {size}
All sentences below this paragraph are computed from the runs; [statistics](../guides/statistics.md) explains each
statistic and its limits. {about} {machine}
"""
UNTUNED = """All settings are defaults, except that all populations are evaluated on mini-batches of 32 sequences,
as for Adam. Nothing was tuned, so this is what a user gets without tuning, not what each method can achieve
([tuning](../guides/tuning.md); the [tuned comparison](gradient_vs_evolution_tuned.md))."""
TUNED = """Each method (a trainer on a task and a network) is shown with the settings of the
[untuned comparison](gradient_vs_evolution.md) and, as *(tuned)*, with the best of the same number of trials for each
([tuning](../guides/tuning.md)). The cost of the trials comes on top of its budget. The ranges are in the spec; they
were not changed after results were seen."""


@dataclass(frozen=True)
class Subject:
    """One of the two comparisons."""

    name: str
    title: str
    verb: str
    about: str

    @property
    def spec(self) -> Path:
        return ROOT / "examples" / f"{self.name}.yaml"

    @property
    def option(self) -> str:
        return "" if self is SUBJECTS[0] else f" --spec {self.name}"


SUBJECTS = (
    Subject("gradient_vs_evolution", "Gradient, evolution or both?", "run", UNTUNED),
    Subject("gradient_vs_evolution_tuned", "Gradient, evolution or both, tuned alike?", "tune", TUNED),
)


def main(given: Sequence[str] | None = None) -> int:
    """Exit status 1 for an error that the message explains."""
    parser = argparse.ArgumentParser("python -m benchmarks.verdict", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spec", default=SUBJECTS[0].name, choices=[subject.name for subject in SUBJECTS])
    parser.add_argument("--store", default="sqlite:///evornn.db")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "results", metavar="FOLDER")
    parser.add_argument("--quick", action="store_true", help="a small comparison, computed for it and not kept")
    asked = parser.parse_args(given)
    subject = next(subject for subject in SUBJECTS if subject.name == asked.spec)
    try:
        small(subject) if asked.quick else write(subject, read(subject.spec), asked.store, asked.folder)
    except EvornnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def small(subject: Subject) -> None:
    """Compute a part of the comparison, write its page somewhere and tell how long that is."""
    spec = shorten(read(subject.spec))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/verdict.db"
        with getattr(library, subject.verb)(spec, store=url, workers=0):
            write(subject, spec, url, Path(folder))
        text, pictures = (Path(folder) / f"{subject.name}.md").read_text(), list(Path(folder).rglob("*.png"))
    print(f"{subject.name}.md: {len(text.splitlines())} lines, {len(pictures)} pictures")


def shorten(spec: dict[str, Any]) -> dict[str, Any]:
    """Two tasks, two networks, three seeds, a hundredth of the budget; of a search two trials."""
    budget = {**spec["budget"], "steps": spec["budget"]["steps"] // 100}
    some = {**spec, "tasks": spec["tasks"][:2], "networks": spec["networks"][:2], "seeds": [1, 2, 3], "budget": budget}
    return {**some, "tuning": {"trials": 2, "seeds": 1}} if "tuning" in spec else some


def write(subject: Subject, spec: dict[str, Any], url: str, folder: Path) -> None:
    """Raises EvornnError where the store has no such runs, or they have not all ended."""
    with open_store(url, create=False) as store:
        job = job_of(spec, store)
        if job is None or store.job(job).finished is None:
            raise EvornnError(f"{url} has no finished job of {subject.spec.name}: run it first, with --store {url}")
        analysis = ComparisonData(store, job)
        sections, together = draw_sections(
            analysis.comparison, analysis.run_frame, analysis.curve_frame, analysis.baselines, {}
        )
        page = Page(folder, subject, analysis.comparison)
        (folder / f"{subject.name}.md").write_text("".join(page.lines(sections, together, machine(analysis))))


def machine(analysis: ComparisonData) -> str:
    environment = analysis.environment
    hours = sum(run.seconds or 0.0 for run in analysis.runs) / 3600
    return (
        f"{number(hours, 3)} hours of computing time on one core of {environment['cpu']}, evornn "
        f"{environment['commit']}, backend {environment['backend']}; other programs ran on the machine at times, which "
        "affects the computing times."
    )


class Page:
    """Markdown, with figures as PNG beside it."""

    def __init__(self, folder: Path, subject: Subject, comparison: Comparison) -> None:
        self.folder, self.subject, self.comparison = folder, subject, comparison
        (folder / subject.name).mkdir(parents=True, exist_ok=True)

    def lines(self, sections: Sequence[TaskSection], together: Sequence[CaptionedFigure], where: str) -> Iterator[str]:
        comparison = self.comparison
        about = {field.name: getattr(self.subject, field.name) for field in fields(Subject)}
        yield HEAD.format(
            **about, option=self.subject.option, size=narrative.experiment_size(comparison), machine=where
        )
        yield "\n## All tasks\n\n"
        yield from (f"{sentence}\n\n" for sentence in narrative.describe_ranking(comparison.ranking, comparison.alpha))
        yield from (f"{line}\n" for line in overall(comparison))
        for k, picture in enumerate(together):
            yield self.picture(picture, f"all-{k}")
        if comparison.tuned:
            yield "\n## Best settings\n\n"
            yield from (f"{line}\n" for line in settings(comparison))
        yield "\n## Significant wins\n\n"
        yield from (f"{line}\n" for line in wins(comparison))
        for section in sections:
            yield from self.section(section)

    def section(self, section: TaskSection) -> Iterator[str]:
        task = section.comparison
        yield f"\n## {task.task}\n\n"
        yield from (f"{answer}\n\n" for answer in section.answers)
        yield f"{narrative.describe_tests(task.contests[0], self.comparison.alpha)}\n\n"
        yield from (f"{line}\n" for line in losses(task))
        for k, picture in enumerate(select_pictures(section)):
            yield self.picture(picture, f"{task.task}-{k}")

    def picture(self, picture: CaptionedFigure, name: str) -> str:
        path = self.folder / self.subject.name / f"{name}.png"
        save(picture.figure, path, 1000 if picture.wide else 760, picture.figure.layout.height or 400)
        return f"\n{picture.caption}\n\n![{picture.caption}]({self.subject.name}/{path.name})\n"


def select_pictures(section: TaskSection) -> list[CaptionedFigure]:
    """Of a task: the learning curves of the network that was chosen, against steps and time, and how all runs ended."""
    network = "" if section.comparison.chosen is None else section.comparison.chosen.network
    curves = [picture for picture in section.pictures if picture.caption.startswith(f"{network}: learning curves")]
    return [*curves, *(picture for picture in section.pictures if picture.caption.startswith("Test loss of each run"))]


def overall(comparison: Comparison) -> Iterator[str]:
    """A row per trainer, best mean rank first."""
    cells = [cell for task in comparison.tasks for cell in task.cells]
    means = dict(zip(comparison.ranking.trainers, comparison.ranking.means, strict=False))
    relative = {item.trainer: item.iqm for item in comparison.overall}
    yield "| trainer | family | mean rank | interquartile mean of relative loss, 95 % | seconds a run, median |"
    yield "|---|---|--:|--:|--:|"
    for trainer in comparison.ranking.trainers:
        own = [cell for cell in cells if cell.trainer == trainer]
        iqm = relative[trainer]
        interval = f"{number(iqm.value, 3)} [{number(iqm.low, 3)}, {number(iqm.high, 3)}]"
        seconds = number(median(cell.seconds for cell in own), 3)
        yield f"| {trainer} | {own[0].family} | {means[trainer]:.2f} | {interval} | {seconds} |"


def settings(comparison: Comparison) -> Iterator[str]:
    """A row per method that was tuned."""
    yield "| task | network | trainer | trials | network steps | validation loss | settings |"
    yield "|---|---|---|--:|--:|--:|---|"
    for t in comparison.tuned:
        spent, loss = number(t.network_steps, 3), number(t.valid)
        yield f"| {t.task} | {t.network} | {t.trainer} | {t.trials} | {spent} | {loss} | {narrative.settings(t)} |"


def wins(comparison: Comparison) -> Iterator[str]:
    """How often each trainer is significantly lower than each other, over tasks and networks."""
    contests = [contest for task in comparison.tasks for contest in by_network(task)]
    names = comparison.ranking.trainers
    yield (
        f"Number of the {len(contests)} pairs of task and architecture in which the row's test losses are lower than "
        f"the column's, significantly at {comparison.alpha:g} after Holm's correction within the pair:\n"
    )
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'--:|' * len(names)}"
    for row in names:
        counts = ("–" if row == column else str(sum(beats(c, row, column) for c in contests)) for column in names)
        yield f"| {row} | {' | '.join(counts)} |"


def by_network(task: TaskComparison) -> list[PairwiseTests]:
    networks = {cell.network for cell in task.cells}
    return [contest for contest in task.contests if contest.name in networks]


def beats(contest: PairwiseTests, one: str, other: str) -> bool:
    return any(pair.better == one and {pair.a, pair.b} == {one, other} for pair in contest.pairs)


def losses(task: TaskComparison) -> Iterator[str]:
    """Median test losses by network and trainer; where the task can be solved, in how many runs it was."""
    cells = {(cell.network, cell.trainer): cell for cell in task.cells}
    networks, trainers = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    solvable = any(cell.judged and cell.judged.solved is not None for cell in task.cells)
    yield "Median test loss" + (", and number of runs that solved the task:" if solvable else ":")
    yield f"\n| | {' | '.join(trainers)} |"
    yield f"|---|{'--:|' * len(trainers)}"
    for network in networks:
        yield f"| {network} | {' | '.join(cell_text(cells[network, trainer]) for trainer in trainers)} |"


def cell_text(cell: ResultCell) -> str:
    solved = cell.judged.solved if cell.judged else None
    return number(cell.test.median, 3) + (f", {solved}/{cell.runs}" if solved else "")


if __name__ == "__main__":
    sys.exit(main())
