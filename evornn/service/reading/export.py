"""Runs and curves as files for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evornn import files
from evornn.errors import EvornnError, require
from evornn.service.interface import StoreInterface

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = (".csv", ".parquet", ".json")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes cells that start with these for formulas


def export(store: StoreInterface, file: Path, kind: str, job: int | None = None) -> int:
    """Write runs or curves to a file.

    Args:
        store: Where they are.
        file: Its suffix names the format: .csv, .parquet or .json.
        kind: "runs": one row per run; "curves": one row per run and mark.
        job: Only the runs of this job.

    Returns:
        Number of rows.

    Raises:
        EvornnError: The suffix is another one, the file can't be written, or there is no such job.
    """
    if file.suffix not in FORMATS:
        raise EvornnError(f"{file}: the name must end in {', '.join(FORMATS)}")
    if job is not None:
        store.job(job)
    frame = _runs(store, job) if kind == "runs" else _curves(store, job)
    try:
        files.write(file, _encode_frame(frame, file.suffix))
    except OSError as error:
        raise EvornnError(f"can't write {file}: {error.strerror or error}; choose another file") from None
    return len(frame)


def encode_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], suffix: str) -> bytes:
    """The result of a query as a file.

    Args:
        columns: Names of the columns.
        rows: The rows.
        suffix: .csv or .parquet. In CSV, an apostrophe precedes text that a spreadsheet would take for a formula.

    Returns:
        Bytes of the file.
    """
    from pandas import DataFrame

    if suffix == ".csv":
        cells = [[_escape_formula(cell) for cell in row] for row in rows]
        return _encode_frame(DataFrame(cells, columns=list(columns)), suffix)
    frame = DataFrame(rows, columns=_number_duplicates(columns))
    mixed = [name for name in frame if frame[name].dropna().map(type).nunique() > 1]
    return _encode_frame(frame.astype(dict.fromkeys(mixed, "string")), suffix)


def _escape_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell


def _number_duplicates(columns: Sequence[str]) -> list[str]:
    """Names of columns, repeated ones numbered: in Parquet they must be unique."""
    return [f"{name}_{k}" if name in columns[:k] else name for k, name in enumerate(columns)]


def _encode_frame(frame: DataFrame, suffix: str) -> bytes:
    if suffix == ".parquet":
        with require("parquet", "a .parquet file"):
            import pyarrow  # noqa: F401  # which pandas looks for
        return bytes(frame.to_parquet(None, index=False))
    text: str = frame.to_csv(index=False) if suffix == ".csv" else frame.to_json(orient="records")
    return text.encode()


def _runs(store: StoreInterface, job: int | None) -> DataFrame:
    from pandas import DataFrame

    rows = [asdict(run) for run in store.runs(job=job, order="id")]
    return DataFrame([{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows])


def _curves(store: StoreInterface, job: int | None) -> DataFrame:
    from pandas import DataFrame

    runs = {run.id: run for run in store.runs(job=job, order="id")}
    lines = []
    for number, rows in store.curves(list(runs)).items():
        run = runs[number]
        who = {
            "run": number,
            "job": run.job,
            "task": run.task,
            "network": run.network,
            "trainer": run.trainer,
            "seed": run.seed,
        }
        lines += [{**who, **(flat := asdict(row)), **flat.pop("extra")} for row in rows]
    return DataFrame(lines)
