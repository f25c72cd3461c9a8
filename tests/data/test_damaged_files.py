"""Files cut short, and files with bytes of chance: a table or one line, never a traceback."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from awkward_files import FILES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from evornn.data.reading import load
from evornn.data.understanding import understand
from evornn.errors import EvornnError


def binaries() -> list[bytes]:
    parquet, npz, npy, wav = (io.BytesIO() for _ in range(4))
    pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}).to_parquet(parquet)
    np.savez(npz, X=np.zeros((2, 3, 1)), y=np.arange(2))
    np.save(npy, np.zeros((3, 2)))
    wavfile.write(wav, 8000, np.zeros(400, np.int16))
    return [buffer.getvalue() for buffer in (parquet, npz, npy, wav)]


CONTENTS = [*(file.content for file in FILES if len(file.content) < 10_000), *binaries()]


def check(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(content)
        try:
            understand(load(path))
        except EvornnError as error:
            assert "\n" not in str(error) and str(error)


@given(st.sampled_from(CONTENTS), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_file_that_is_cut_short(content: bytes, share: float) -> None:
    check(content[: int(share * len(content))])


@given(st.sampled_from(CONTENTS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_file_with_bytes_of_chance(content: bytes, changes: list[tuple[float, int]]) -> None:
    changed = bytearray(content or b" ")
    for place, byte in changes:
        changed[int(place * (len(changed) - 1))] = byte
    check(bytes(changed))


@given(st.text(alphabet="1234567890.,;:-/ \"'ab\n\r\t|#é", max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    check(text.encode())
