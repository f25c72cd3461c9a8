"""Commands on models that stand alone: predict, evaluate."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli import texts
from evornn.cli.options import DEFAULT, Json, Server, Store, check_writable, open_results, resolve_server
from evornn.cli.output import show
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.data.table import Table
    from evornn.models.evaluate import Measures
    from evornn.models.importance import OnProgress
    from evornn.models.report import ModelReport
    from evornn.models.standalone import StandaloneModel
    from evornn.models.text_report import TextReport

SENT = ("", ".csv", ".tsv", ".txt", ".md")  # files that are sent to a server as they are
Model = Annotated[
    str,
    typer.Argument(help="A file of `evornn model RUN FILE.safetensors`; or NAME, NAME@ALIAS, NAME:VERSION of a store."),
]
Trust = Annotated[bool, typer.Option("--trust", help="Import code of one's own that the model names as its network.")]


def predict(
    model: Model,
    file: Annotated[
        Path | None, typer.Argument(help="CSV file with the model's columns, or a text.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; default: print.")] = None,
    next: Annotated[
        int | None,
        typer.Option(min=1, help="Of a forecast or a text: so many rows or symbols beyond the end, instead of all."),
    ] = None,
    coverage: Annotated[
        float | None, typer.Option(help="Also intervals that hold the truth with this probability, such as 0.9.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Rows from standard input: a line in, a line out.")] = False,
    prompt: Annotated[str | None, typer.Option(help="Of a text, with --next: what it goes on from.")] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="Of a text, with --next: 0 is always the most probable symbol, 2 is wild.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of a text, with --next: the same seed, the same text.")] = 0,
    trust: Trust = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Answer the question of a model for new data, in original units, as CSV; with --json, one object per line. Of a
    text: the bits of each symbol, or with --next how it goes on."""
    with _ends_in_a_line("interrupted"):
        loaded = load_model(model, trust, store, server)
        is_text = texts.is_of_text(loaded)
        if prompt is not None and not (is_text and next):
            raise EvornnError("--prompt is what a text goes on from: give it to a model of a text, with --next")
        if is_text and next is not None and not stream:
            _write_text(texts.continuation(loaded, file, prompt, next, temperature, seed), output, as_json)
            return
        if stream == (file is not None) or (stream and next is not None):
            raise EvornnError("give either a FILE or --stream, and --next only with a file")
        if is_text:
            answers = texts.answers(loaded, file, coverage)
        else:
            answers = _stream(loaded, coverage) if file is None else _answers(loaded, file, next, coverage)
        with _open(output) as out:
            count = _write(answers, out, as_json and output is None)
        if output is not None:
            about = {"file": str(output), "lines": count}
            show(about if as_json else f"{count} answers written to {output}", as_json)


def evaluate(
    model: Model,
    file: Annotated[Path, typer.Argument(help="CSV file with the model's columns and the true answers; or a text.")],
    report: Annotated[
        Path | None,
        typer.Option(help="HTML page to write: errors in pictures, worst examples, importance of inputs."),
    ] = None,
    trust: Trust = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Measure the errors of a model on new data, in original units; of a text, bits and perplexity. With --report and
    --json, also print the numbers of the report."""
    from evornn.cli.report_progress import report_progress

    check_writable(report)
    end = "interrupted: no report was written" if report else "interrupted"
    with _ends_in_a_line(end), report_progress(quiet=as_json or report is None) as tell:
        if report is not None and not trust and _is_for_server(model, file, server):
            tell("computing on the server", 0.0)
            with open_results(store, server) as results:
                found = _of_details(results.evaluate(model, file, report=report))
        else:
            found = _evaluate(load_model(model, trust, store, server), file, report, tell)
    _show_evaluation(found, file, report, as_json)


@dataclass(frozen=True)
class FileEvaluation:
    """What `evaluate` shows."""

    count: tuple[str, int]  # of rows, symbols or answers
    measures: Measures
    test: Measures  # on the model's own test split
    details: dict[str, Any] | None = None  # of the report


def _is_for_server(model: str, file: Path, server: str | None) -> bool:
    """Whether a server makes the report, which others may have asked for as well: of files that fit into a request."""
    from evornn.service.wire import LONGEST_BODY

    if resolve_server(server) is None or _is_file(model) or file.suffix.lower() not in SENT:
        return False
    return file.is_file() and file.stat().st_size <= LONGEST_BODY


def _of_details(details: dict[str, Any]) -> FileEvaluation:
    return FileEvaluation(("answers", details["answers"]), details["measures"], details["test"], details)


def _evaluate(model: StandaloneModel, file: Path, report: Path | None, tell: OnProgress) -> FileEvaluation:
    """Measure here, and write the report."""
    from evornn.models.predict import concatenate
    from evornn.models.table_file import read_parts

    if texts.is_of_text(model):
        return _evaluate_text(model, file, report, tell)
    table = concatenate(list(read_parts(file, model.own_preparation, with_answers=True)))
    if report is None:
        return FileEvaluation(("rows", len(table)), model.evaluate(table), model.metrics.errors)
    return _of_details(_write_report(model, model.report(table, on_progress=tell), report))


def _evaluate_text(model: StandaloneModel, file: Path, report: Path | None, tell: OnProgress) -> FileEvaluation:
    from evornn.models.text import evaluate_text, measures_on_test
    from evornn.models.text_report import report_text

    symbols = texts.read_text(model, file)
    if report is None:
        return FileEvaluation(("symbols", len(symbols)), evaluate_text(model, symbols), measures_on_test(model))
    return _of_details(_write_report(model, report_text(model, symbols, str(file), on_progress=tell), report))


def _write_report(model: StandaloneModel, details: ModelReport | TextReport, path: Path) -> dict[str, Any]:
    from evornn.experiments.reporting.model_page import model_page
    from evornn.experiments.reporting.report import write_page

    write_page(path, model_page(model, details))
    return details.to_dict()


def _show_evaluation(found: FileEvaluation, file: Path, report: Path | None, as_json: bool) -> None:
    from evornn.cli import tables

    if not as_json:
        show(tables.measures(str(file), found.measures, found.test), as_json)
        if report is not None:
            show(f"report written to {report}", as_json)
        return
    name, count = found.count
    about = {"file": str(file), name: count, "measures": found.measures, "test": found.test}
    more = {} if found.details is None else {"report": str(report), **found.details}
    show({**about, **more}, as_json)


@contextmanager
def _ends_in_a_line(text: str) -> Iterator[None]:
    """Ctrl-C says this, since there is nothing to resume. Raises CommandInterrupted."""
    from evornn.cli.run import CommandInterrupted

    try:
        yield
    except KeyboardInterrupt:
        raise CommandInterrupted(text) from None


def _write_text(text: str, output: Path | None, as_json: bool) -> None:
    """To a file as it is; for people with a line break behind it."""
    if output is None:
        show({"text": text}, as_json) if as_json else sys.stdout.write(text + "\n")
        return
    with _open(output) as out:
        out.write(text)
    show({"file": str(output)} if as_json else f"text written to {output}", as_json)


def load_model(model: str, trust: bool, store: str, server: str | None) -> StandaloneModel:
    """A file; a name without a folder or a suffix, of which there is no file, is that of a registered model."""
    from evornn.models.standalone import StandaloneModel

    if _is_file(model):
        return StandaloneModel.load(Path(model), trust)
    with open_results(store, server) as results:
        return results.model(model, trust)


def _is_file(model: str) -> bool:
    path = Path(model)
    return bool(path.suffix) or path.parent != Path() or path.exists()


def _answers(model: StandaloneModel, file: Path, next: int | None, coverage: float | None) -> Iterator[Table]:
    from evornn.models.predict import concatenate
    from evornn.models.table_file import read_parts

    parts = read_parts(file, model.own_preparation)
    if next is None:
        return model.predict_parts(parts, coverage=coverage)
    return iter([model.predict(concatenate(list(parts)), next=next, coverage=coverage)])


def _stream(model: StandaloneModel, coverage: float | None) -> Iterator[Table]:
    """Answers to the lines of standard input. A first line may name the columns, in any order."""
    from evornn.models.conformal import half_widths
    from evornn.models.predict import answer_table
    from evornn.models.stream import WindowStream

    widths = half_widths(model, coverage)
    rows = WindowStream(model) if model.own_preparation.question == "forecast" else model.stream()
    order = list(range(len(rows.columns)))
    for number, cells in enumerate(csv.reader(sys.stdin), start=1):
        if number == 1 and set(rows.columns) <= set(names := [cell.strip() for cell in cells]):
            order = [names.index(column) for column in rows.columns]
            continue
        try:
            values = [_value(model, name, cells[k].strip()) for name, k in zip(rows.columns, order, strict=True)]
        except (ValueError, IndexError):
            raise EvornnError(f"line {number}: give the values of {', '.join(rows.columns)}, as in 1.5,2") from None
        yield answer_table(model.own_preparation, rows.step(values)[None], widths)


def _value(model: StandaloneModel, name: str, cell: str) -> float:
    """A number, or the position of a category. Raises ValueError."""
    from evornn.models.units import sources_of

    for feature in model.own_preparation.features:
        if feature.categories and sources_of(feature)[0].name == name:
            return float(feature.categories.index(cell))
    if cell == "" and model.own_preparation.missing != "refuse":
        return float("nan")
    return float(cell)


@contextmanager
def _open(output: Path | None) -> Iterator[IO[str]]:
    """The file, which appears when it is complete, or standard output."""
    if output is None:
        yield sys.stdout
        return
    import io

    from evornn import files

    try:
        with files.atomic_write(output.resolve()) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            yield text
            text.flush()
            text.detach()
    except OSError as error:
        raise EvornnError(f"can't write {output}: {error.strerror or error}; choose another file") from None


def _write(answers: Iterator[Table], out: IO[str], as_json: bool) -> int:
    """Write tables as CSV or as lines of JSON. Returns how many rows."""
    from evornn.models.table_file import csv_text, records

    count = 0
    for table in answers:
        if as_json:
            out.writelines(json.dumps(record) + "\n" for record in records(table))
        else:
            out.write(csv_text(table, with_names=count == 0))
        out.flush()
        count += len(table)
    return count
