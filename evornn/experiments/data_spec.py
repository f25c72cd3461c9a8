"""The spec that answers a question about one's own data: four networks × gradient, evolution and both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from evornn.data.doubts import Doubt, amount, refuse_doubts
from evornn.data.features import READABLE
from evornn.data.options import ReadOptions
from evornn.data.sampling import NONE
from evornn.data.table import FILE, FOLDER
from evornn.data.understanding import FILLS, FORECAST_FILLS, TRAINING, ColumnFacts, Understanding
from evornn.errors import EvornnError, UnknownName

USUAL_WINDOW = 48  # of a forecast
NETWORKS = ("elman", "gru", "lstm", "ctrnn")
TRAINERS: tuple[dict[str, Any], ...] = (
    {"kind": "adam"},
    {"kind": "cma_es", "batch": 32},
    {"kind": "memetic", "evolve": {"kind": "genetic_algorithm", "batch": 32}, "refine": {"kind": "adam"}},
)


def data_spec(
    path: str,
    targets: Sequence[str],
    facts: Understanding,
    options: ReadOptions,
    fill: str | None = None,
    quantiles: Sequence[float] = (),
) -> dict[str, Any]:
    """A spec as plain data.

    Args:
        path: Of the file or folder.
        targets: Columns to predict, all by the same question.
        facts: What was understood of it.
        options: With which it was read.
        fill: What to do about missing values; None: refuse them.
        quantiles: Levels to predict of numbers instead of their mean.

    Raises:
        EvornnError: A doubt has to be answered first, or the targets answer no one question.
    """
    refuse_doubts(facts.doubts, facts.source)
    question = _question(targets, facts)
    if quantiles and question == "classify":
        raise EvornnError(f"quantiles are of numbers, and {targets[0]!r} is asked for as classes: leave them out")
    refuse_doubts([*_doubts(question, targets, facts, fill)], facts.source)
    target = {"target": targets[0]} if question == "classify" else {"targets": list(targets)}
    optional = {
        "group": facts.group,
        "time": facts.time,
        "missing": fill,
        "quantiles": list(quantiles),
        "window": _short_window(facts) if question == "forecast" else None,
        "past": "changes" if any(one.leaves_range for one in facts.columns if one.name in targets) else None,
        "read": _changed(options),
    }
    task = {"kind": question, "path": path, **target, **{name: value for name, value in optional.items() if value}}
    return _spec(f"{question} {', '.join(targets)}", task)


def text_spec(path: str) -> dict[str, Any]:
    """The spec for a model of a text."""
    return _spec("language", {"kind": "language", "path": path})


def _spec(name: str, task: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "tasks": [task],
        "networks": [{"kind": kind, "units": 8} for kind in NETWORKS],
        "trainers": [dict(trainer) for trainer in TRAINERS],
        "seeds": 3,
        "budget": {"steps": 2_000_000, "marks": 20},
    }


def _doubts(question: str, targets: Sequence[str], facts: Understanding, fill: str | None) -> Iterator[Doubt]:
    """What has to be answered for this question, though another one might do without."""
    columns = {column.name: column for column in facts.columns}
    if facts.group is None and (names := columns[targets[0]].same_within):
        which = f"each value of {names[0]!r}" if len(names) == 1 else f"each value of {' or '.join(map(repr, names))}"
        ask = f"column {targets[0]!r} is the same in all rows of {which}: does that column tell the sequences apart?"
        yield Doubt(ask, tuple(("group", name) for name in (*names, NONE)), True)
    if question == "forecast" and facts.uneven:
        yield Doubt(facts.uneven, (("time", NONE),), True)
    read = [columns[name] for name in targets] if question == "forecast" else _inputs(targets, facts)
    gaps = [column for column in read if column.missing]
    fills = FORECAST_FILLS if question == "forecast" else FILLS
    if (gaps or fill) and fill not in fills:
        of_all = amount(facts.rows, "value")
        values = " and ".join(f"{column.missing:,} of {of_all} of {column.name!r}" for column in gaps)
        ask = "a forecast can't interpolate, which reads later rows" if fill else f"{values} are missing"
        yield Doubt(f"{ask}: what about them?", tuple(("fill", policy) for policy in fills), True)


def _short_window(facts: Understanding) -> int | None:
    """Rows that a forecast of short series reads; None: as many as usual."""
    rows = int(TRAINING * facts.shortest) // 4
    return max(rows, 2) if rows < USUAL_WINDOW else None


def _inputs(targets: Sequence[str], facts: Understanding) -> list[ColumnFacts]:
    """The columns that a network reads, and those of a label, whose gaps may be masked."""
    special = {facts.group, facts.time, FILE, FOLDER} - set(targets)
    return [column for column in facts.columns if column.kind in READABLE and column.name not in special]


def _question(targets: Sequence[str], facts: Understanding) -> str:
    columns = {column.name: column for column in facts.columns}
    questions = set[str]()
    for name in targets:
        if name not in columns:
            raise UnknownName("column", name, columns)
        question = columns[name].question
        if question is None:
            raise EvornnError(f"{facts.source}: column {name!r} can't be a target: name one that is no time and varies")
        questions.add(question)
    if len(questions) > 1 or (questions == {"classify"} and len(targets) > 1):
        kinds = ", ".join(sorted(questions))
        raise EvornnError(f"{facts.source}: the targets ask for different things ({kinds}): name those of one question")
    return questions.pop()


def _changed(options: ReadOptions) -> dict[str, Any]:
    """What is not as it is by default."""
    values = {one.name: (getattr(options, one.name), getattr(ReadOptions(), one.name)) for one in fields(options)}
    return {name: _plain(value) for name, (value, default) in values.items() if value != default}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value
