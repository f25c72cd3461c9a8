"""Data of packages as files that evornn reads. Nothing of them is kept in the repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evornn.errors import EvornnError

SAMPLES = 85  # of a batch, from its beginning, that are read
END = 10  # and those at its end whose mean is asked for
INSTALL = "pip install -e '.[sklearn]' -r benchmarks/references/requirements.txt"


def write(name: str, folder: Path) -> Path:
    """The file of a set, written if it isn't there. Raises EvornnError where a package is missing."""
    path = folder / f"{name}.csv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            table = LOADERS[name]()
        except ModuleNotFoundError as error:
            raise EvornnError(
                f"{name} needs the package {error.name}, in an environment of its own: {INSTALL}"
            ) from None
        table.to_csv(path, index=False)
    return path


def long_table(wide: pd.DataFrame, dates: Iterable[str], leave_out: Sequence[str]) -> pd.DataFrame:
    """Columns as series below one another: series, date, value.

    Args:
        wide: A row per time, a column per series.
        dates: ISO dates of the rows.
        leave_out: Columns that are computed from others, or tell the time.
    """
    kept = wide.drop(columns=list(leave_out)).assign(date=list(dates))
    return kept.melt("date", var_name="series")[["series", "date", "value"]]


def sequence_table(train: tuple[Sequence[NDArray], Sequence], test: tuple[Sequence[NDArray], Sequence]) -> pd.DataFrame:
    """Sequences below one another: sequence, part, class, and a column for each channel. Of each class, every fourth
    training sequence is for validation.

    Args:
        train: Sequences, each [I, T], and their classes.
        test: The same for the test.
    """
    seen: dict[str, int] = {}
    tables = []
    for part, (values, classes) in (("train", train), ("test", test)):
        for number, (series, name) in enumerate(zip(values, map(str, classes), strict=True)):
            seen[name] = seen.get(name, 0) + (part == "train")
            is_valid = part == "train" and seen[name] % 4 == 0
            channels = {f"x{k + 1}": channel for k, channel in enumerate(np.asarray(series, np.float64))}
            head = {"sequence": f"{part}{number:04}", "part": "valid" if is_valid else part, "class": f"class {name}"}
            tables.append(pd.DataFrame({**head, **channels}))
    return pd.concat(tables, ignore_index=True)


def batch_table(batches: Mapping[object, pd.DataFrame]) -> pd.DataFrame:
    """The first SAMPLES rows of each batch, and in all of them the means of each tag over its last END rows: of tags
    whose ends vary."""
    ends = pd.DataFrame({name: batch.tail(END).mean() for name, batch in batches.items()}).T
    varying = [tag for tag in ends if ends[tag].std() > 0]
    tables = []
    for name, batch in batches.items():
        asked = {f"end {tag}": ends.loc[name, tag] for tag in varying}
        tables.append(batch.head(SAMPLES).reset_index(drop=True).assign(batch=f"batch {name}", **asked))
    return pd.concat(tables, ignore_index=True)


def _macrodata() -> pd.DataFrame:
    """`realint` is tbilrate − infl."""
    from statsmodels.datasets import macrodata

    wide = macrodata.load_pandas().data
    dates = [f"{int(year)}-{3 * int(quarter) - 2:02}-01" for year, quarter in zip(wide.year, wide.quarter, strict=True)]
    return long_table(wide, dates, ["year", "quarter", "realint"])


def _employment() -> pd.DataFrame:
    """`nonfarm_change` is the difference of nonfarm."""
    from vega_datasets import local_data

    wide = local_data.us_employment()
    return long_table(wide, wide.month.astype(str).str[:10], ["month", "nonfarm_change"])


def _aeon(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        from aeon import datasets

        loader = getattr(datasets, f"load_{name}")
        return sequence_table(loader(split="train"), loader(split="test"))

    return load


def _nylon() -> pd.DataFrame:
    from process_improve.batch.datasets import load_nylon

    return batch_table(load_nylon())


LOADERS: Mapping[str, Callable[[], pd.DataFrame]] = {
    "macrodata": _macrodata,
    "employment": _employment,
    "nylon": _nylon,
    **{name: _aeon(name) for name in ("japanese_vowels", "basic_motions", "italy_power_demand", "arrow_head")},
}
