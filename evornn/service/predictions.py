"""Answers of registered models to rows, as a server gives them: bounded, and without code that a model names."""

from __future__ import annotations

import json
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from evornn.errors import EvornnError, suggestion
from evornn.service.wire import Predictions
from evornn.store.records import ModelKey
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.data.preparation import Preparation
    from evornn.data.table import Table
    from evornn.models.standalone import StandaloneModel

Rows: TypeAlias = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]  # records, or columns
BODY = "the rows"  # what errors call them
MOST_ROWS = 10_000  # of a request
MOST_CELLS = 1_000_000  # of an answer
MOST_MODELS = 16  # that are kept ready
FEWER = "send fewer at a time, or download the model, `evornn models download`, and `evornn predict` with it"


@dataclass(frozen=True)
class PredictionRequest:
    """What to answer.

    Args:
        reference: NAME (its newest version), NAME@ALIAS or NAME:VERSION.
        rows: Rows in original units, or `{"text": …}`; bytes: the text of a CSV file, or JSON.
        next: Of a forecast: so many rows beyond the end of each group, instead of a forecast at every row. Of a text:
            so many symbols that follow it.
        coverage: Also intervals that hold the truth with this probability.
        temperature: Of a text that goes on: how random, 0: not at all.
        seed: Of its randomness.
    """

    reference: str
    rows: Rows | bytes
    next: int | None = None
    coverage: float | None = None
    is_csv: bool = False
    temperature: float = 1.0
    seed: int = 0


def predict(store: Store, request: PredictionRequest) -> Predictions:
    """The answers as records. Raises NotFound, EvornnError."""
    from evornn.models.table_file import records

    version, answers = _answer(store, request)
    return Predictions(version.name, version.version, list(records(answers)))


def predict_json(store: Store, request: PredictionRequest) -> bytes:
    """`predict`, as JSON."""
    answers = predict(store, request)
    return json.dumps(vars(answers), allow_nan=False, separators=(",", ":")).encode()


def predict_csv(store: Store, request: PredictionRequest) -> bytes:
    """`predict`, as CSV."""
    from evornn.models.table_file import csv_text

    return csv_text(_answer(store, request)[1], with_names=True).encode()


class ModelCache:
    """The models that were used last, by the digests of their files.

    Args:
        most: How many.
    """

    def __init__(self, most: int = MOST_MODELS) -> None:
        self.most, self._models, self._lock = most, OrderedDict[str, "StandaloneModel"](), Lock()

    def get(self, version: ModelKey, read: Callable[[str], bytes]) -> StandaloneModel:
        """A model, whose file is read unless it is here. Raises EvornnError for one that names code."""
        from evornn.models.standalone import StandaloneModel

        with self._lock:
            model = self._models.pop(version.digest, None)
            if model is None:
                model = StandaloneModel.from_bytes(read(version.reference), version.reference)
                if model.code:
                    raise EvornnError(
                        f"the network of {version.reference} is code, {model.code}, which a server never loads: "
                        f"`evornn models download {version.reference}`, and `evornn predict FILE --trust`"
                    )
            self._models[version.digest] = model
            if len(self._models) > self.most:
                self._models.popitem(last=False)
            return model


CACHE = ModelCache()


def _answer(store: Store, request: PredictionRequest) -> tuple[ModelKey, Table]:
    version = store.find_model(request.reference)
    model = CACHE.get(version, store.model_file)
    if model.preparation is not None and model.preparation.question == "language":
        return version, answer_text(model, request)
    table = read_rows(request.rows, model.own_preparation, request.is_csv)
    answers = model.predict(table, next=request.next, coverage=request.coverage)
    if len(answers) * len(answers.columns) > MOST_CELLS:
        raise EvornnError(f"the answer has {len(answers):,} rows of {len(answers.columns)} cells: {FEWER}")
    return version, answers


def answer_text(model: StandaloneModel, request: PredictionRequest) -> Table:
    """How probable each symbol of a text is, or with `next` how it goes on. Raises EvornnError."""
    from evornn.data.table import Column, Table
    from evornn.models.text import TextReader, generate, split, text_preparation

    text = read_given_text(request.rows, request.is_csv)
    if request.coverage is not None:
        raise EvornnError("coverage: symbols have probabilities instead of intervals: leave it out")
    symbols = split(text_preparation(model), text)
    if len(symbols) > MOST_ROWS or (request.next or 0) > MOST_ROWS:
        raise EvornnError(f"a text may have {MOST_ROWS:,} symbols, and as many may follow: {FEWER}")
    if request.next is None:
        return TextReader(model).table(symbols)
    continued = generate(model, symbols, request.next, request.temperature, request.seed)
    return Table((Column("text", "text", np.array([continued], object)),), BODY)


def read_given_text(rows: Rows | bytes, is_csv: bool = False) -> str:
    """The text of `{"text": …}`. Raises EvornnError for anything else."""
    given = _parse(rows) if isinstance(rows, bytes) and not is_csv else rows
    text = given.get("text") if isinstance(given, Mapping) and len(given) == 1 else None
    if not isinstance(text, str):
        raise EvornnError('the model is one of a text: send JSON, {"text": "…"}')
    return text


def read_rows(rows: Rows | bytes, preparation: Preparation, is_csv: bool = False, with_answers: bool = False) -> Table:
    """The columns that a model reads; of JSON also the true answers. Raises EvornnError."""
    if isinstance(rows, bytes):
        return _read_csv(rows, preparation) if is_csv else _read_columns(_parse(rows), preparation, with_answers)
    return _read_columns(rows, preparation, with_answers)


def _read_csv(text: bytes, preparation: Preparation) -> Table:
    from evornn.models.predict import concatenate
    from evornn.models.table_file import read_parts

    try:
        text.decode()
    except UnicodeDecodeError:
        raise EvornnError(f"{BODY}: are not text in UTF-8") from None
    with tempfile.TemporaryDirectory(prefix="evornn-") as folder:
        file = Path(folder) / BODY
        file.write_bytes(text)
        parts, count = [], 0
        for part in read_parts(file, preparation):
            parts.append(part)
            count += len(part)
            _check_count(count)
        return concatenate(parts)


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise EvornnError(f"{BODY}: are nested too deep: give a list of objects, or an object of lists") from None
    except ValueError as error:
        raise EvornnError(f"{BODY}: are not valid JSON ({error})") from None


def _read_columns(rows: Any, preparation: Preparation, with_answers: bool = False) -> Table:
    """A table of records or columns, read as those of a frame."""
    from evornn.models.table_file import needed_columns

    columns = _columns(rows)
    known = dict.fromkeys(columns) if isinstance(columns, Mapping) else {n: None for row in columns for n in row}
    names = needed_columns(preparation, known, with_answers)
    if (missing := next((name for name in names if name not in known), None)) is not None:
        raise EvornnError(f"{BODY}: no column {missing!r}{suggestion(missing, list(known))}")
    by_name = columns if isinstance(columns, Mapping) else {n: [row.get(n) for row in columns] for n in names}
    chosen = {name: by_name[name] for name in names}
    if len({len(values) for values in chosen.values()}) > 1:
        raise EvornnError(f"{BODY}: the columns have different lengths: give each row one value of each")
    if (table := _read_numbers(chosen, preparation)) is not None:
        return table
    return _read_frame(chosen, preparation, with_answers)


def _read_numbers(columns: Mapping[str, Sequence[Any]], preparation: Preparation) -> Table | None:
    """What a frame would be read as if all are usual numbers, in a tenth of the time; None for others."""
    from evornn.data.numbers import LARGEST_WHOLE
    from evornn.data.table import Column, Table

    words = {one.column for one in preparation.features if one.categories or one.derived not in ("", "change")}
    words |= {answer.column for answer in preparation.answers if answer.categories}
    if {preparation.group, preparation.time, *words} & {*columns}:
        return None
    if not all(values and {*map(type, values)} <= {int, float} for values in columns.values()):
        return None
    if not all(abs(value) <= LARGEST_WHOLE for values in columns.values() for value in values):
        return None
    made = {name: np.array(values, np.float64) for name, values in columns.items()}
    count = len(next(iter(made.values()), ()))
    return Table(tuple(Column(name, "number", own) for name, own in made.items()), BODY, np.arange(1, count + 1))


def _read_frame(columns: Mapping[str, Sequence[Any]], preparation: Preparation, with_answers: bool = False) -> Table:
    import pandas as pd

    from evornn.data.doubts import refuse_doubts
    from evornn.data.frames import read_frame
    from evornn.data.options import ReadOptions
    from evornn.models.table_file import select_columns

    contents = read_frame(pd.DataFrame(columns), ReadOptions(), BODY)
    refuse_doubts(contents.doubts, BODY)
    return select_columns(contents.table, preparation, with_answers)


def _columns(rows: Any) -> Rows:
    """Checked records or columns. Raises EvornnError."""
    parts = list(rows.values()) if isinstance(rows, Mapping) else rows
    inner = list if isinstance(rows, Mapping) else Mapping
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, inner) for part in parts):
        raise EvornnError(
            f"{BODY}: give a list of objects, one for each row, or an object of lists, one for each column"
        )
    _check_count(max((len(part) for part in parts), default=0) if isinstance(rows, Mapping) else len(parts))
    checked: Rows = rows
    return checked


def _check_count(count: int) -> None:
    if count > MOST_ROWS:
        raise EvornnError(f"{BODY}: are more than {MOST_ROWS:,}: {FEWER}")
