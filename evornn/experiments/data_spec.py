"""The spec that answers a question about one's own data: four networks × gradient, evolution and both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from evornn.data.doubts import refuse_doubts
from evornn.data.options import ReadOptions
from evornn.data.understanding import Understanding
from evornn.errors import EvornnError, UnknownName

NETWORKS = ("elman", "gru", "lstm", "ctrnn")
TRAINERS: tuple[dict[str, Any], ...] = (
    {"kind": "adam"},
    {"kind": "cma_es", "batch": 32},
    {"kind": "memetic", "evolve": {"kind": "genetic_algorithm", "batch": 32}, "refine": {"kind": "adam"}},
)


def data_spec(
    path: str, targets: Sequence[str], facts: Understanding, options: ReadOptions, fill: str | None = None
) -> dict[str, Any]:
    """A spec as plain data.

    Args:
        path: Of the file or folder.
        targets: Columns to predict, all by the same question.
        facts: What was understood of it.
        options: With which it was read.
        fill: What to do about missing values; None: refuse them.

    Raises:
        EvornnError: A doubt has to be answered first, or the targets answer no one question.
    """
    refuse_doubts(facts.doubts, facts.source)
    question = _question(targets, facts)
    target = {"target": targets[0]} if question == "classify" else {"targets": list(targets)}
    optional = {"group": facts.group, "time": facts.time, "missing": fill, "read": _changed(options)}
    task = {"kind": question, "path": path, **target, **{name: value for name, value in optional.items() if value}}
    return {
        "name": f"{question} {', '.join(targets)}",
        "tasks": [task],
        "networks": [{"kind": kind, "units": 8} for kind in NETWORKS],
        "trainers": [dict(trainer) for trainer in TRAINERS],
        "seeds": 3,
        "budget": {"steps": 2_000_000, "marks": 20},
    }


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
