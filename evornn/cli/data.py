"""`evornn data`: what is understood of a file, what is not certain, and the spec that would be run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.options import Json
from evornn.cli.output import show
from evornn.cli.own_data import describe_doubt, summarize, with_own_data
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evornn.data.understanding import ColumnFacts, Understanding
    from evornn.experiments.own_data import OwnData


@with_own_data
def data(
    own: OwnData,
    spec: Annotated[Path | None, typer.Option(help="Write the spec that would be run; needs --target.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is understood of a file: columns, sequences, sampling, targets; and ask what is not certain."""
    from evornn.experiments import yaml

    if spec is not None and not own.targets:
        raise EvornnError("--spec needs a target: name a column with --target")
    facts = own.understand()
    plan = own.spec(facts) if own.targets else None
    if spec is not None:
        yaml.write(spec, plan)
    if as_json:
        show({**facts.to_dict(), "spec": plan}, True)
    else:
        show(_report(facts, plan, spec), False)


def _report(facts: Understanding, plan: Any, spec: Path | None) -> RenderableType:
    """Facts, columns, questions and the spec."""
    from rich.console import Group
    from rich.text import Text

    from evornn.cli import tables

    grid = tables.facts_grid(summarize(facts))
    columns = ("column", "kind", "missing", "from", "to", "values", "may answer")
    parts: list[RenderableType] = [grid, "", tables.table(columns, [_column_row(one) for one in facts.columns])]
    for blocking, title in ((True, "Questions, to be answered first"), (False, "Not certain")):
        doubts = [doubt for doubt in facts.doubts if doubt.blocking == blocking]
        if doubts:
            parts += ["", Text(title, style="bold"), *(Text(f"- {describe_doubt(doubt)}") for doubt in doubts)]
    if plan is not None:
        from evornn.experiments.yaml import to_text

        where = f"The spec, written to {spec}: `evornn run {spec}`" if spec else "The spec (--spec FILE writes it)"
        parts += ["", Text(where, style="bold"), Text(to_text(plan))]
    return Group(*parts)


def _column_row(column: ColumnFacts) -> tuple[Any, ...]:
    from evornn.cli.tables import spark

    classes = ", ".join(f"{name} {count:,}" for name, count in column.classes[:4])
    more = f", … ({column.count:,})" if column.count > 4 else ""
    values = spark(column.curve, 24) if column.curve else classes + more
    return column.name, column.kind, column.missing, column.low, column.high, values, column.question or ""
