"""Large files are read in blocks, the regular ones by pandas: whatever comes late is seen as what comes early."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evornn.data import encoding, text_files
from evornn.data.fast_text import read_regular
from evornn.data.options import ReadOptions
from evornn.data.reading import load, read, read_blocks
from evornn.errors import EvornnError

ROWS = [
    f"2020-01-{1 + k // 24:02}T{k % 24:02}:00,{k / 7!r},{k % 2},{'ab'[k % 2]},{'true' if k % 3 else 'false'}"
    for k in range(480)
]
HEADER = "time,load,valve,state,on"


@pytest.fixture
def regular(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which blocks were read by pandas; blocks are small."""
    answers = list[bool]()

    def counted(*arguments: Any) -> bool:
        answers.append(read_regular(*arguments))
        return answers[-1]

    monkeypatch.setattr(text_files, "read_regular", counted)
    monkeypatch.setattr(text_files, "blocks", lambda file, name, size=2000: encoding.blocks(file, name, size))
    return answers


def write(folder: Path, rows: list[str], newline: str = "\n") -> Path:
    (folder / "data.csv").write_bytes((newline.join([HEADER, *rows]) + newline).encode())
    return folder / "data.csv"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_regular_blocks_are_read_by_pandas_and_give_the_same(
    newline: str, regular: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, ROWS, newline)
    table = read(path)
    assert sum(regular) >= 5 and regular.count(False) == 1  # the first tells the kinds
    monkeypatch.undo()
    by_rows = read(path)
    assert [c.kind for c in table.columns] == ["time", "number", "number", "category", "boolean"]
    for one, other in zip(table.columns, by_rows.columns, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.kind, one.categories) == (other.kind, other.categories)
    np.testing.assert_array_equal(table.lines, by_rows.lines)


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ("2020-02-01,true,1,a,true", "line 402, column 'load': 'true' is no number"),
        ("2020-02-01,1,TRUE,a,true", "line 402, column 'valve': 'TRUE' is no number"),
        ("2020-02-01,inf,1,a,true", "line 402, column 'load': 'inf' is no number"),
        ("2020-02-01,1_0,1,a,true", "line 402, column 'load': '1_0' is no number"),
        ("2020-02-01,1e999,1,a,true", "line 402, column 'load': '1e999' is no number"),
        ("2020-02-01,1,1,a", "line 402: 4 cells under 5 columns"),
        ("2020-02-01,1,1,a,true,2", "line 402: 6 cells under 5 columns"),
        ("2020-02-01,007,1,a,true", "line 402, column 'load': is 007 a name, or an amount?"),
        ('2020-02-01, "00" ,1,a,true', "line 402, column 'load': is 00 a name, or an amount?"),
        ("2020-02-01,1,1234567890123456,a,true", "line 402, column 'valve': is 1234567890123456 a name"),
        ("2020-02-30,1,1,a,true", "line 402, column 'time': '2020-02-30' is no time"),
        ("2020-02-01T10:00Z,1,1,a,true", "line 402, column 'time': '2020-02-01T10:00Z' has an offset"),
    ],
)
def test_what_is_odd_late_in_a_file_is_asked(row: str, question: str, regular: list[bool], tmp_path: Path) -> None:
    with pytest.raises(EvornnError) as caught:
        read(write(tmp_path, [*ROWS[:400], row, *ROWS[401:]]))
    assert question in str(caught.value)
    assert any(regular)


def test_a_late_header_is_left_out_and_a_late_gap_is_missing(regular: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path, [*ROWS[:300], HEADER, *ROWS[300:400], ROWS[400].replace(",0,", ",NA ,"), *ROWS[401:]])
    contents = load(path)
    assert len(contents.table) == 480 and "1 more time" in str(contents.doubts[0])
    assert np.flatnonzero(contents.table.column("valve").missing).tolist() == [400]
    assert contents.table.lines[[299, 300, 400]].tolist() == [301, 303, 403]


def test_words_of_several_blocks_are_the_same_categories(regular: list[bool], tmp_path: Path) -> None:
    rows = [row.replace(",a,", f",{'xyz'[k // 160]} ,") for k, row in enumerate(ROWS)]
    column = read(write(tmp_path, rows), ReadOptions(kinds={"state": "category"})).column("state")
    assert column.categories == ("b", "x", "y", "z")
    assert column.words()[478] == "z"


def test_a_quoted_separator_never_hides_a_missing_cell(regular: list[bool], tmp_path: Path) -> None:
    rows = [*ROWS[:400], '2020-02-01T00:00,1,1,"a,true"', *ROWS[401:]]
    with pytest.raises(EvornnError, match="line 402: 4 cells under 5 columns"):
        read(write(tmp_path, rows))


def test_a_file_is_read_block_by_block(regular: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    whole, parts = read(path), list(read_blocks(path))
    assert len(parts) > 5
    np.testing.assert_array_equal(np.concatenate([part.lines for part in parts]), whole.lines)
    for name in whole.names:
        assert [word for part in parts for word in part.column(name).words()] == whole.column(name).words()


def test_a_doubt_stops_the_reading_at_its_block(regular: list[bool], tmp_path: Path) -> None:
    blocks = read_blocks(write(tmp_path, [*ROWS[:400], ROWS[400].replace(",0,", ",off,"), *ROWS[401:]]))
    assert sum(len(next(blocks)) for _ in range(5)) > 100
    with pytest.raises(EvornnError, match="line 402, column 'valve': 'off' is no number"):
        list(blocks)


def test_what_is_no_text_is_one_block(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.zeros((3, 2)))
    assert [len(part) for part in read_blocks(tmp_path / "data.npy")] == [3]


def test_empty_rows_at_the_end_are_none_and_those_between_are(regular: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path, [*ROWS[:300], *[",,,,"] * 900, *ROWS[300:], *[",,,,"] * 900, "", '"",,,,'])
    parts = list(read_blocks(path))
    assert sum(map(len, parts)) == len(read(path)) == 480 + 900
    assert parts[-1].lines[-1] == 480 + 900 + 1


def test_a_cell_that_ends_with_empty_lines_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text('a,b\n1,"x\n\n"\n2,"y\n\n"\n\n')
    assert read(tmp_path / "data.csv").column("a").values.tolist() == [1, 2]


def test_no_line_end_loses_a_row(regular: list[bool], tmp_path: Path) -> None:
    ends = ("\n", "\r", "\r\n")
    content = "".join(row + ends[k * k % 3] for k, row in enumerate(["# by", HEADER, *ROWS]))
    (tmp_path / "data.csv").write_bytes(content.encode())
    table = read(tmp_path / "data.csv")
    assert table.lines.tolist() == list(range(3, 483)) and any(regular)


def test_the_first_point_tells_how_to_read_a_column_however_late_it_comes(regular: list[bool], tmp_path: Path) -> None:
    rows = [f"{k};{k};{k / 4}".replace(".", ",") for k in range(1000)]
    late = ["1;1,25;1", "2,5;1.234,5;1", "1.234;2.345;1", "1.234,5;1;1"]
    (tmp_path / "data.csv").write_text("\n".join(["a;b;c", *rows, *late, ""]))
    contents = load(tmp_path / "data.csv")
    assert contents.table.column("a").values[-4:].tolist() == [1, 2.5, 1234, 1234.5]
    assert contents.table.column("b").values[-4:].tolist() == [1.25, 1234.5, 2345, 1]
    assert contents.doubts == () and any(regular)


def test_a_point_that_pandas_saw_counts(regular: list[bool], tmp_path: Path) -> None:
    rows = [f"{k};x" for k in range(1000)] + [f"{k}.5;x" for k in range(1000)] + ["1,234;x"]
    (tmp_path / "data.csv").write_text("\n".join(["a;b", *rows, ""]))
    assert read(tmp_path / "data.csv").column("a").values[-1] == 1234 and any(regular)


@pytest.mark.parametrize(
    ("cell", "question"),
    [
        ("05.06.20", "column 't': years have two digits (05.06.20)"),
        ("00", "is 00 a name, or an amount?: set kinds to n=category, or kinds to n=number"),
        ("1,234", "column 'n': is 1,234 a number with decimals, or one of thousands?: set decimal to ','"),
    ],
)
def test_what_is_told_of_a_first_cell_is_told_of_a_late_one(
    cell: str, question: str, regular: list[bool], tmp_path: Path
) -> None:
    rows = [f"{1 + k % 28:02}.02.2020;{k}" for k in range(2000)]
    rows += [f"{cell};1" if "." in cell else f"01.02.2020;{cell}"]
    (tmp_path / "data.csv").write_text("\n".join(["t;n", *rows, ""]))
    assert question in " ".join(map(str, load(tmp_path / "data.csv").doubts)) and any(regular)
    told = load(tmp_path / "data.csv", ReadOptions(kinds={"n": "number"}, decimal=","))
    assert not any(doubt.blocking for doubt in told.doubts)
