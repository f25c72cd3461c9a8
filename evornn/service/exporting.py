"""Runs and curves as files for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evornn.errors import EvornnError
from evornn.service.verbs import Reads

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = (".csv", ".parquet", ".json")


def export(store: Reads, file: Path, what: str, job: int | None = None) -> int:
    """Write one line per run ("runs") or per run and mark ("curves"); answers how many. The suffix names the format."""
    if file.suffix not in FORMATS:
        raise EvornnError(f"{file}: the name must end in {', '.join(FORMATS)}")
    if job is not None:
        store.job(job)
    frame = _runs(store, job) if what == "runs" else _curves(store, job)
    try:
        _write(frame, file)
    except OSError as error:
        raise EvornnError(f"can't write {file}: {error.strerror or error}; choose another place") from None
    return len(frame)


def _write(frame: DataFrame, file: Path) -> None:
    if file.suffix == ".csv":
        frame.to_csv(file, index=False)
    elif file.suffix == ".parquet":
        frame.to_parquet(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=False)


def _runs(store: Reads, job: int | None) -> DataFrame:
    from pandas import DataFrame

    rows = [asdict(run) for run in store.runs(job=job, order="id")]
    return DataFrame([{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows])


def _curves(store: Reads, job: int | None) -> DataFrame:
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
