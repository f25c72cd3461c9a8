"""A file of one's own on the command line: how to read it, the same for `evornn data` and `evornn fit`; and doubts with
the options that answer them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.data.doubts import Doubt
    from evornn.data.understanding import Understanding
    from evornn.experiments.own_data import OwnData

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


def own_data(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet, NPZ, NPY, JSON lines, WAV, or a folder of such files.")],
    target: Annotated[list[str] | None, typer.Option(help="Column to predict; several are allowed.")] = None,
    group: Annotated[str | None, typer.Option(help="Column that tells sequences apart, or none.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times, or none: rows are counted.")] = None,
    fill: Annotated[Fill | None, typer.Option(help="What the spec does about missing values.")] = None,
    quantiles: Annotated[
        str | None, typer.Option(help="Levels to predict of numbers instead of their mean, such as 0.1,0.5,0.9.")
    ] = None,
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
) -> OwnData:
    """The file, the question and how to read it, of the options. Raises EvornnError."""
    from evornn.data.options import ReadOptions
    from evornn.experiments.own_data import OwnData, parse_kinds

    options = ReadOptions(
        separator={"tab": "\t", "space": " "}.get(separator or "", separator),
        decimal=decimal,  # type: ignore[arg-type]  # checked there
        encoding=encoding,
        header=header,
        names=tuple(names.split(",")) if names else (),
        skip=skip,
        kinds=parse_kinds(kind or []),
        missing=tuple(missing or ()),
        dates=dates.value if dates else None,
        ragged=ragged.value,
        wide=wide,
    )
    levels = parse_levels(quantiles) if quantiles else ()
    return OwnData(str(file), tuple(target or ()), group, time, fill and fill.value, options, levels)


def parse_levels(text: str) -> tuple[float, ...]:
    """Levels of quantiles with commas between them. Raises EvornnError.

    >>> parse_levels("0.1,0.9")
    (0.1, 0.9)
    """
    from evornn.kernels.quantile_levels import quantile_levels

    try:
        return quantile_levels(f"quantile({text})")
    except EvornnError:
        raise EvornnError(f"--quantiles {text}: give levels between 0 and 1, in order, such as 0.1,0.5,0.9") from None


def with_own_data(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter, an OwnData, is made of an argument and options that all such commands share."""
    shared, more = _parameters(own_data), _parameters(command)[1:]

    @wraps(command)
    def called(**values: Any) -> None:
        from evornn.data.doubts import UnansweredDoubt, file_error

        own = own_data(**{one.name: values.pop(one.name) for one in shared})
        try:
            command(own, **values)
        except UnansweredDoubt as error:  # as options of the command line
            raise file_error(describe_doubt(error.doubt), error.source) from None

    vars(called).update(__signature__=Signature([*shared, *more]))
    called.__annotations__ = {one.name: one.annotation for one in (*shared, *more)}
    return called


def _parameters(command: Callable[..., Any]) -> list[Parameter]:
    """With annotations as values, except for the class that a command line need not import."""
    known = {**vars(sys.modules[command.__module__]), "OwnData": None}
    return [
        one.replace(kind=Parameter.KEYWORD_ONLY, annotation=eval(one.annotation, known))
        for one in signature(command).parameters.values()
    ]


def describe_doubt(doubt: Doubt) -> str:
    """A question with the options that answer it, as they can be pasted into a shell."""
    answers = [describe_answer(*answer) for answer in doubt.answers]
    return doubt.question + (f"  {'  or  '.join(answers)}" if answers else "")


def describe_answer(option: str, value: str) -> str:
    """An answer as an option of the command line."""
    return TRUTHS[value] if option == "header" else f"--{FLAGS.get(option, option)} {quote(value)}"


def summarize(facts: Understanding) -> dict[str, str]:
    """File, format, rows, sequences and times in words."""
    lengths = f"{facts.shortest:,}" if facts.shortest == facts.longest else f"{facts.shortest:,} to {facts.longest:,}"
    return {
        "file": facts.source,
        **facts.about,
        "rows": f"{facts.rows:,}",
        "sequences": f"{facts.sequences:,} of {lengths} rows" + (f", by {facts.group}" if facts.group else ""),
        "time": f"{facts.time or 'rows are in order'}" + (f", every {facts.step}" if facts.step else ""),
    }
