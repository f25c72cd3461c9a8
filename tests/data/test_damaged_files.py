"""Files cut short, and files with bytes of chance: a table or one line, never a traceback. Text is long enough to be
read in blocks, by pandas where all is regular."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from awkward_files import FILES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from evornn.data import encoding, text_files
from evornn.data.reading import load
from evornn.data.understanding import understand
from evornn.errors import EvornnError

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"a": RNG.normal(size=200), "b": RNG.choice(list("xyz"), 200), "c": pd.date_range("2020", periods=200)}
)


def written(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def lines(separator: str, quote: str = "", count: int = 14_000) -> bytes:
    """More than the first block, which is read row by row."""
    cells = (
        ("time", "load", "state"),
        *((f"2020-01-{1 + k % 28:02}T00:00", f"{k / 7:.4f}", "ab"[k % 2]) for k in range(count)),
    )
    return "".join(separator.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in cells).encode()


LONG = [lines(","), lines(";", '"')]
TEXTS = [file.content for file in FILES if len(file.content) < 10_000]
OTHERS = [
    written(FRAME.to_parquet),
    written(lambda buffer: FRAME.astype({"b": "category"}).to_parquet(buffer, compression="gzip")),
    written(lambda buffer: np.savez(buffer, X=RNG.normal(size=(5, 4, 2)), y=np.arange(5), z=np.array(list("abcde")))),
    written(lambda buffer: np.savez_compressed(buffer, a=np.arange(50), b=FRAME["c"].to_numpy()[:50])),
    written(lambda buffer: np.save(buffer, np.zeros((30, 2), np.float32))),
    *(written(lambda buffer, kind=kind: wavfile.write(buffer, 8000, RNG.integers(0, 99, (900, 2)).astype(kind)))
      for kind in ("uint8", "int16", "int32", "float32")),
    "".join(json.dumps({"a": k, "b": [k / 2, None], "c": "xé"}) + "\n" for k in range(50)).encode(),
    json.dumps([{"a": 1.5, "b": "x"}, {"a": None, "b": True}]).encode(),
]  # fmt: skip


def check(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(content)
        try:
            understand(load(path))
        except EvornnError as error:
            assert "\n" not in str(error) and str(error)


@given(st.sampled_from(TEXTS) | st.sampled_from(OTHERS), st.floats(0, 1))
@settings(max_examples=60)
def test_a_file_that_is_cut_short(content: bytes, share: float) -> None:
    check(content[: int(share * len(content))])


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5)


def spoilt(content: bytes, changes: list[tuple[float, bytes, bool]]) -> bytes:
    changed = bytearray(content or b" ")
    for place, new, is_inserted in changes:
        start = int(place * (len(changed) - 1))
        changed[start : start + (0 if is_inserted else len(new))] = new
    return bytes(changed)


@given(st.sampled_from(TEXTS) | st.sampled_from(OTHERS), CHANGES)
@settings(max_examples=120)
def test_a_file_with_bytes_of_chance(content: bytes, changes: list[tuple[float, bytes, bool]]) -> None:
    check(spoilt(content, changes))


@given(st.sampled_from(LONG), CHANGES)
@settings(max_examples=10)
def test_a_long_file_with_bytes_of_chance(content: bytes, changes: list[tuple[float, bytes, bool]]) -> None:
    check(spoilt(content, changes))


@given(st.floats(0.5, 1), st.text("0123456789.,;:-/ \"'ab\n\r\t|#é", min_size=1, max_size=12), st.booleans())
@settings(max_examples=60)
def test_text_of_chance_late_in_a_file_is_to_pandas_what_it_is_row_by_row(
    place: float, new: str, inserted: bool
) -> None:
    content = lines(",", count=300)
    start = content.rfind(b"\n", 0, int(place * len(content))) + 1
    changed = spoilt(content, [((start + 0.5) / (len(content) - 1), new.encode(), inserted)])
    with patch.object(text_files, "blocks", lambda file, name, size=2000: encoding.blocks(file, name, size)):
        by_blocks = outcome(changed)
        with patch.object(text_files, "read_regular", lambda *arguments: False):
            assert outcome(changed) == by_blocks


def outcome(content: bytes) -> str:
    """All of a table, or the error."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "data.csv").write_bytes(content)
        try:
            contents = load(Path(folder) / "data.csv")
        except EvornnError as error:
            return str(error).replace(folder, "")
    columns = [
        (column.name, column.kind, column.categories, column.values.tolist()) for column in contents.table.columns
    ]
    return repr((columns, contents.table.lines.tolist(), contents.doubts))


@given(st.text(alphabet="1234567890.,;:-/ \"'ab\n\r\t|#é[{", max_size=80))
@settings(max_examples=100)
def test_any_text(text: str) -> None:
    check(text.encode())
