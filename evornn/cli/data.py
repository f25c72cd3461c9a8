"""`evornn data`: what is understood of a file, what is not certain, and the spec that would be run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.options import Json
from evornn.cli.output import show
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evornn.data.doubts import Doubt
    from evornn.data.understanding import ColumnFacts, Understanding

FLAGS = {"kinds": "kind"}  # fields of ReadOptions whose option has another name
TRUTHS = {"true": "--header", "false": "--no-header"}


class DateOrder(StrEnum):
    """How 01/02/2008 is read."""

    day_first = "day_first"
    month_first = "month_first"


class Ragged(StrEnum):
    """What is done with rows that are too short."""

    refuse = "refuse"
    fill = "fill"
    drop = "drop"


class Fill(StrEnum):
    """What is done about missing values."""

    mask = "mask"
    forward_fill = "forward_fill"
    interpolate = "interpolate"


def data(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet, NPZ, NPY, JSON lines, WAV, or a folder of such files.")],
    target: Annotated[list[str] | None, typer.Option(help="Column to predict; several are allowed.")] = None,
    group: Annotated[str | None, typer.Option(help="Column that tells sequences apart.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times.")] = None,
    fill: Annotated[Fill | None, typer.Option(help="What the spec does about missing values.")] = None,
    spec: Annotated[Path | None, typer.Option(help="Write the spec that would be run; needs --target.")] = None,
    separator: Annotated[str | None, typer.Option(help="Between cells, such as ';' or 'tab'.")] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal point: '.' or ','.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as utf-8 or latin-1.")] = None,
    header: Annotated[bool | None, typer.Option(help="Whether the first line has the columns' names.")] = None,
    names: Annotated[str | None, typer.Option(help="Names of all columns, with commas between them.")] = None,
    skip: Annotated[int | None, typer.Option(min=0, help="Lines above the header.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="COLUMN=KIND: number, boolean, category, time, text.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A cell that stands for a missing value.")] = None,
    dates: Annotated[DateOrder | None, typer.Option(help="How to read 01/02/2008.")] = None,
    ragged: Annotated[Ragged, typer.Option(help="What to do with rows that are too short.")] = Ragged.refuse,
    wide: Annotated[str | None, typer.Option(help="FIRST:LAST, columns that are steps: a row is a sequence.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is understood of a file: columns, sequences, sampling, targets; and ask what is not certain."""
    from evornn.data.options import ReadOptions
    from evornn.data.reading import load
    from evornn.data.understanding import understand
    from evornn.experiments import yaml
    from evornn.experiments.data_spec import data_spec

    if spec is not None and not target:
        raise EvornnError("--spec needs a target: name a column with --target")
    options = ReadOptions(
        separator={"tab": "\t", "space": " "}.get(separator or "", separator),
        decimal=decimal,  # type: ignore[arg-type]  # checked there
        encoding=encoding,
        header=header,
        names=tuple(names.split(",")) if names else (),
        skip=skip,
        kinds=_kinds(kind or []),
        missing=tuple(missing or ()),
        dates=dates.value if dates else None,
        ragged=ragged.value,
        wide=wide,
    )
    facts = understand(load(file, options), group, time)
    plan = data_spec(str(file), target, facts, options, fill and fill.value) if target else None
    if spec is not None:
        yaml.write(spec, plan)
    if as_json:
        show({**facts.to_dict(), "spec": plan}, True)
    else:
        show(_report(facts, plan, spec), False)


def _kinds(pairs: list[str]) -> dict[str, Any]:
    """Column → kind, of COLUMN=KIND. A column's name may hold an equals sign, too."""
    kinds = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not equals:
            raise EvornnError(f"--kind {pair}: give a column and its kind, such as load=number")
        kinds[column] = kind
    return kinds


def _report(facts: Understanding, plan: Any, spec: Path | None) -> RenderableType:
    """Facts, columns, questions and the spec."""
    from rich.console import Group
    from rich.text import Text

    from evornn.cli import tables

    grid = tables.facts_grid(_summary(facts))
    columns = ("column", "kind", "missing", "from", "to", "values", "may answer")
    parts: list[RenderableType] = [grid, "", tables.table(columns, [_column_row(one) for one in facts.columns])]
    for blocking, title in ((True, "Questions, to be answered first"), (False, "Not certain")):
        doubts = [doubt for doubt in facts.doubts if doubt.blocking == blocking]
        if doubts:
            parts += ["", Text(title, style="bold"), *(Text(f"- {_ask(doubt)}") for doubt in doubts)]
    if plan is not None:
        from evornn.experiments.yaml import to_text

        where = f"The spec, written to {spec}: `evornn run {spec}`" if spec else "The spec (--spec FILE writes it)"
        parts += ["", Text(where, style="bold"), Text(to_text(plan))]
    return Group(*parts)


def _summary(facts: Understanding) -> dict[str, str]:
    lengths = f"{facts.shortest:,}" if facts.shortest == facts.longest else f"{facts.shortest:,} to {facts.longest:,}"
    return {
        "file": facts.source,
        **facts.about,
        "rows": f"{facts.rows:,}",
        "sequences": f"{facts.sequences:,} of {lengths} rows" + (f", by {facts.group}" if facts.group else ""),
        "time": f"{facts.time or 'rows are in order'}" + (f", every {facts.step}" if facts.step else ""),
    }


def _column_row(column: ColumnFacts) -> tuple[Any, ...]:
    from evornn.cli.tables import spark

    classes = ", ".join(f"{name} {count:,}" for name, count in column.classes[:4])
    more = f", … ({column.count:,})" if column.count > 4 else ""
    values = spark(column.curve, 24) if column.curve else classes + more
    return column.name, column.kind, column.missing, column.low, column.high, values, column.question or ""


def _ask(doubt: Doubt) -> str:
    """A question with the options that answer it, as they can be pasted into a shell."""
    answers = [
        TRUTHS[value] if option == "header" else f"--{FLAGS.get(option, option)} {quote(value)}"
        for option, value in doubt.answers
    ]
    return doubt.question + (f"  {'  or  '.join(answers)}" if answers else "")
