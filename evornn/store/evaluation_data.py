"""What judges runs, kept with them: baselines, the test split and the chart of a task's data, by the data's digest.

Results stay readable when the data are gone. Of large data only baselines' losses and errors are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from evornn.data.preparation import Preparation
from evornn.store.codec import pack, unpack
from evornn.store.database import Database
from evornn.store.errors import retry_transaction
from evornn.store.schema import evaluation_data, now
from evornn.tasks.core.forecast_errors import ForecastErrors
from evornn.tasks.core.task import Baseline, Chart, EvaluationData, Sequences

CHART_TEXTS = ("times", "unit", "transform", "targets", "series", "first_output")
CHART_ARRAYS = ("truth", "offset", "scale", "history", "naive_errors")
TEST_ARRAYS = ("inputs", "targets", "mask")

Arrays = dict[str, NDArray[Any]]


class EvaluationDataMixin(Database):
    """Keep what judges runs, and read it."""

    @retry_transaction
    def keep_evaluation_data(self, by_digest: Mapping[str, EvaluationData]) -> None:
        """Keep what judges the runs of these data, unless it is kept already; then for longer."""
        same = evaluation_data.c.digest.in_(list(by_digest))
        with self.read_transaction() as connection:
            kept = set(connection.scalars(select(evaluation_data.c.digest).where(same)))
        new = {digest: _encode(data) for digest, data in by_digest.items() if digest not in kept}
        with self.write_transaction() as connection:
            connection.execute(update(evaluation_data).where(same).values(created=now()))
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            for digest, columns in new.items():
                row = dialect.insert(evaluation_data).values(digest=digest, created=now(), **columns)
                connection.execute(row.on_conflict_do_nothing())

    def evaluation_data(self, digest: str | None) -> EvaluationData | None:
        """What judges the runs of these data; None if it was not kept, by an earlier version."""
        with self.read_transaction() as connection:
            chosen = select(evaluation_data).where(evaluation_data.c.digest == digest)
            row = connection.execute(chosen).mappings().one_or_none()
        return None if row is None else _decode(row["plain"], unpack(row["arrays"]))


def _encode(data: EvaluationData) -> dict[str, Any]:
    """Columns of the row."""
    baselines = [
        {"name": b.name, "valid": b.valid, "test": b.test, "errors": {t: asdict(e) for t, e in b.errors.items()}}
        for b in data.baselines
    ]
    chart = data.chart and {name: getattr(data.chart, name) for name in CHART_TEXTS}
    plain = {
        "sizes": data.sizes,
        "loss": data.loss,
        "labels": data.labels,
        "note": data.note,
        "warning": data.warning,
        "baselines": baselines,
        "chart": chart,
        "preparation": data.preparation and data.preparation.to_dict(),
    }
    return {"plain": plain, "arrays": pack(_arrays(data))}


def _arrays(data: EvaluationData) -> Arrays:
    arrays: Arrays = {}
    if isinstance(data.test, Sequences):
        arrays |= {f"test.{name}": getattr(data.test, name) for name in TEST_ARRAYS}
    if data.chart is not None:
        arrays |= {f"chart.{name}": getattr(data.chart, name) for name in CHART_ARRAYS}
    for k, baseline in enumerate(data.baselines):
        if baseline.predictions is not None:
            arrays[f"baseline.{k}"] = np.asarray(baseline.predictions)
    return arrays


def _decode(plain: Mapping[str, Any], arrays: Arrays) -> EvaluationData:
    preparation = _decode_preparation(plain.get("preparation"))  # earlier versions kept none
    is_categorical = preparation is not None and preparation.is_categorical
    return EvaluationData(
        sizes=(plain["sizes"][0], plain["sizes"][1]),
        loss=plain["loss"],
        baselines=tuple(
            Baseline(
                b["name"],
                b["valid"],
                b["test"],
                arrays.get(f"baseline.{k}"),
                {target: ForecastErrors(**errors) for target, errors in b["errors"].items()},
            )
            for k, b in enumerate(plain["baselines"])
        ),
        labels=tuple(plain["labels"]),
        note=plain["note"],
        warning=plain.get("warning", ""),  # of version 2.2 and before there is none
        chart=_decode_chart(plain["chart"], arrays),
        test=Sequences(**_part(arrays, "test"), is_categorical=is_categorical) if "test.inputs" in arrays else None,
        preparation=preparation,
    )


def _decode_preparation(plain: Mapping[str, Any] | None) -> Preparation | None:
    return None if plain is None else Preparation.from_dict(dict(plain))


def _decode_chart(plain: Mapping[str, Any] | None, arrays: Arrays) -> Chart | None:
    if plain is None:
        return None
    series = tuple((name, count) for name, count in plain.get("series", ()))
    fields: dict[str, Any] = {**plain, "targets": tuple(plain["targets"]), "series": series, **_part(arrays, "chart")}
    return Chart(**fields)


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(f"{prefix}."): array for name, array in arrays.items() if name.startswith(f"{prefix}.")}
