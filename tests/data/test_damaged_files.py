"""Files cut short, and files with bytes of chance: a table or one line, never a traceback. Text is long enough to be
read in blocks, by pandas where all is regular."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from awkward_files import FILES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from evornn.data import text_files
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


def lines(separator: str, quote: str = "", count: int = 20_000) -> bytes:
    """More than the first block, which is read row by row."""
    cells = (
        ("time", "load", "state"),
        *((f"2020-01-{1 + k % 28:02}T00:00", f"{k / 7:.4f}", "ab"[k % 2]) for k in range(count)),
    )
    return "".join(separator.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in cells).encode()


TEXTS = [lines(","), lines(";", '"'), *(file.content for file in FILES if len(file.content) < 10_000)]
OTHERS = [
    written(FRAME.to_parquet),
    written(lambda buffer: FRAME.astype({"b": "category"}).to_parquet(buffer, compression="gzip")),
    written(lambda buffer: np.savez(buffer, X=RNG.normal(size=(5, 4, 2)), y=np.arange(5), z=np.array(list("abcde")))),
    written(lambda buffer: np.savez_compressed(buffer, a=np.arange(50), b=FRAME["c"].to_numpy()[:50])),
    written(lambda buffer: np.save(buffer, np.zeros((30, 2), np.float32))),
    *(written(lambda buffer, kind=kind: wavfile.write(buffer, 8000, RNG.integers(0, 99, (900, 2)).astype(kind)))  # type: ignore[misc]
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


@given(st.sampled_from(TEXTS + OTHERS), st.floats(0, 1))
@settings(max_examples=60)
def test_a_file_that_is_cut_short(content: bytes, share: float) -> None:
    check(content[: int(share * len(content))])


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5)


@pytest.mark.parametrize("contents", [TEXTS, OTHERS], ids=["text", "others"])
@given(st.data(), CHANGES)
@settings(max_examples=60)
def test_a_file_with_bytes_of_chance(
    contents: list[bytes], data: Any, changes: list[tuple[float, bytes, bool]]
) -> None:
    changed = bytearray(data.draw(st.sampled_from(contents)) or b" ")
    for place, new, is_inserted in changes:
        start = int(place * (len(changed) - 1))
        changed[start : start + (0 if is_inserted else len(new))] = new
    check(bytes(changed))


@given(st.floats(0.5, 1), st.text("0123456789.,;:-/ \"'ab\n\r\t|#é", min_size=1, max_size=12), st.booleans())
@settings(max_examples=40)
def test_text_of_chance_late_in_a_long_file_loses_no_row(place: float, new: str, is_inserted: bool) -> None:
    """What is read by pandas and what is read row by row is the same."""
    content = TEXTS[0]
    start = content.rfind(b"\n", 0, int(place * len(content))) + 1
    changed = content[:start] + new.encode() + content[start + (0 if is_inserted else len(new)) :]
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
        (column.name, column.kind, column.categories, column.values.tobytes()) for column in contents.table.columns
    ]
    return repr((columns, contents.table.lines.tobytes(), contents.doubts))


@given(st.text(alphabet="1234567890.,;:-/ \"'ab\n\r\t|#é[{", max_size=80))
@settings(max_examples=100)
def test_any_text(text: str) -> None:
    check(text.encode())
