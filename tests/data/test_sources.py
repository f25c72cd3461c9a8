"""Frames, arrays, Parquet, folders and wide tables."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evornn.data.options import ReadOptions
from evornn.data.reading import load, read
from evornn.data.table import Table
from evornn.errors import EvornnError

RNG = np.random.default_rng(0)


def refusal(source: Any, options: ReadOptions | None = None) -> str:
    with pytest.raises(EvornnError) as caught:
        read(source, options or ReadOptions())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def kinds(table: Table) -> dict[str, str]:
    return {column.name: column.kind for column in table.columns}


FRAME = pd.DataFrame(
    {
        "t": pd.date_range("2020-10-24", periods=3, tz="Europe/Berlin"),
        "c": pd.Categorical(["b", "a", None]),
        "b": [True, False, True],
        "n": pd.array([1, None, 3], "Int64"),
        "w": ["x", "y", None],
    }
)


def test_a_frame_keeps_what_it_knows() -> None:
    table = read(FRAME)
    assert kinds(table) == {"t": "time", "c": "category", "b": "boolean", "n": "number", "w": "category"}
    times = table.column("t")
    assert [str(value)[:10] for value in times.values] == ["2020-10-24", "2020-10-25", "2020-10-26"]
    assert times.offsets is not None and times.offsets.astype(int).tolist() == [120, 120, 60]
    assert table.column("n").missing.tolist() == [False, True, False]
    assert table.column("c").words() == ["b", "a", ""]


def test_the_index_of_a_frame_is_a_column_if_it_says_something() -> None:
    assert read(FRAME.set_index("t")).names == read(FRAME).names
    assert read(FRAME[1:]).names == read(FRAME).names


def test_parquet_is_read_as_its_frame(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "data.parquet")
    table, frame = read(tmp_path / "data.parquet"), read(FRAME)
    assert kinds(table) == kinds(frame)
    for name in frame.names:
        np.testing.assert_array_equal(table.column(name).values, frame.column(name).values)


def test_decimal_numbers_of_parquet_are_no_text(tmp_path: Path) -> None:
    pd.DataFrame({"a": [Decimal("1.234"), None, Decimal("2.500")]}).to_parquet(tmp_path / "data.parquet")
    column = read(tmp_path / "data.parquet", ReadOptions(decimal=",")).column("a")
    np.testing.assert_array_equal(column.values, [1.234, np.nan, 2.5])


def test_half_a_parquet_file_is_refused(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "data.parquet")
    content = (tmp_path / "data.parquet").read_bytes()
    (tmp_path / "data.parquet").write_bytes(content[: len(content) // 2])
    assert "can't be read as Parquet" in refusal(tmp_path / "data.parquet")


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pd.DataFrame(), "has no columns"),
        (pd.DataFrame({"a": []}), "has no rows"),
        (pd.DataFrame({"a": [1 + 2j]}), "complex"),
        (pd.DataFrame({"a": [[1, 2]]}), "holds a list in a cell"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "row 2: is infinite"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "2 columns are called 'a'"),
        (pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="a")), "2 columns are called 'a'"),
    ],
)
def test_a_frame_that_is_no_table_is_refused(frame: Any, problem: str) -> None:
    assert problem in refusal(frame)


X = RNG.normal(size=(3, 4, 2))


@pytest.mark.parametrize("save", [False, True])
def test_arrays_become_long_tables(save: bool, tmp_path: Path) -> None:
    arrays = {"X": X, "y": np.array([0, 1, 0]), "z": RNG.normal(size=(3, 4))}
    source: Any = arrays
    if save:
        np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
        source = tmp_path / "data.npz"
    table = read(source)
    assert table.names == ("sequence", "X1", "X2", "z", "y")
    assert table.column("sequence").words() == ["1"] * 4 + ["2"] * 4 + ["3"] * 4
    np.testing.assert_array_equal(table.column("X2").values, X[:, :, 1].ravel())
    np.testing.assert_array_equal(table.column("y").values, np.repeat([0, 1, 0], 4))


def test_padding_at_the_ends_of_sequences_is_left_out_and_said() -> None:
    padded = X.copy()
    padded[0, 2:], padded[1, 1, 0] = np.nan, np.nan
    contents = load({"X": padded, "y": np.arange(3)})
    assert len(contents.table) == 10 and "2 steps" in str(contents.doubts[0])


def test_only_columns_of_steps_tell_padding() -> None:
    padded = X.copy()
    padded[0, 2:] = np.nan
    assert len(read({"X": padded, "X10": np.arange(3), "Xy": np.array([np.nan, 1, 2])})) == 10


@pytest.mark.parametrize(
    "source",
    [{"X": [X[0], X[1][:2]], "y": ["a", "b"]}, [(X[0], "a"), (X[1][:2], "b")]],
    ids=["lists", "examples"],
)
def test_sequences_of_unequal_lengths(source: Any) -> None:
    table = read(source)
    assert len(table) == 6 and table.column("y").words() == ["a"] * 4 + ["b"] * 2


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({}, "holds no arrays"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, "a is [3], b is [4]"),
        ({"X": X, "y": np.zeros(5)}, "y has 5 values for 3 sequences"),
        ({"X": np.zeros((2, 2, 2, 2))}, "X is [2, 2, 2, 2]"),
        ({"X": np.zeros(0)}, "X is [0]"),
        ([(X[0], 1, 2)], "no pairs"),
        ([(X[0], [1]), (X[1], [1, 2])], "no pairs"),
        ({"X": X, "X1": np.zeros(3)}, "2 columns are called 'X1'"),
        ({"x": np.zeros((3, 2)), "x1": np.zeros(3)}, "2 columns are called 'x1'"),
        ({"X": X, "sequence": np.zeros(3)}, "2 columns are called 'sequence'"),
        ({"X": [X[0], X[1][:0]]}, "sequence 2 of X is empty"),
        ({"X": [X[0], X[1][:, :1]]}, "X has from 1 to 2 values in a step"),
        ({"X": [[1, 2], [3]]}, "X is no array"),
        (5, "can't read a int"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(arrays: Any, problem: str) -> None:
    assert problem in refusal(arrays)


def test_python_objects_in_an_array_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.array([1, "a", None], object), allow_pickle=True)
    assert "could run code" in refusal(tmp_path / "data.npy")


def folder_of(path: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    return path


def test_a_folder_of_classes(tmp_path: Path) -> None:
    files = {"up/1.csv": "x,y\n1,2\n3,4\n", "down/1.csv": "y,x\n6,5\n", "down/notes.md": "?", ".hidden.csv": "1"}
    contents = load(folder_of(tmp_path / "gestures", files))
    table = contents.table
    assert table.names == ("file", "folder", "y", "x")
    assert table.column("file").words() == ["down/1.csv", "up/1.csv", "up/1.csv"]
    assert table.column("folder").words() == ["down", "up", "up"]
    assert table.column("x").values.tolist() == [5, 1, 3]
    assert "notes.md" in str(contents.doubts[0])
    assert "gestures/up/1.csv, line 3, column 'x'" in str(table.cell_error("x", 2, "what"))


def test_the_files_of_a_folder_share_what_they_say_of_dates(tmp_path: Path) -> None:
    files = {"a.csv": "t,y\n01/02/2008,1\n", "b.csv": "t,y\n13/02/2008,1\n"}
    times = read(folder_of(tmp_path / "f", files)).column("t").values
    assert [str(time)[:10] for time in times] == ["2008-02-01", "2008-02-13"]


def test_empty_rows_at_the_end_of_a_file_of_a_folder_are_none(tmp_path: Path) -> None:
    table = read(folder_of(tmp_path / "f", {"a.csv": "x,y\n1,2\n,\n\n", "b.csv": "y,x\n3,4\n,\n"}))
    assert table.column("x").values.tolist() == [1, 4]


@pytest.mark.parametrize("names", [("r1.csv", "r2.csv"), ("r1", "r2"), ("x/r1.csv", "x/r2.csv")])
def test_a_table_beside_the_files_says_their_classes(names: tuple[str, str], tmp_path: Path) -> None:
    folder = "x/" if "/" in names[0] else ""
    files = {f"{folder}r1.csv": "y\n1\n2\n", f"{folder}r2.csv": "y\n3\n"}
    table = read(folder_of(tmp_path / "f", {**files, "file.csv": f"name,class\n{names[1]},b\n{names[0]},a\n"}))
    assert table.column("class").words() == ["a", "a", "b"]


def test_kinds_of_the_table_beside_the_files_can_be_told(tmp_path: Path) -> None:
    files = {"r1.csv": "y\n1\n", "r2.csv": "y\n3\n", "t.csv": "name,class\nr1,1\nr2,2\nr3,2\n"}
    folder = folder_of(tmp_path / "f", files)
    contents = load(folder, ReadOptions(kinds={"class": "category"}))
    assert contents.table.column("class").kind == "category"
    assert "t.csv: 1 row about no file, left out" in str(contents.doubts[0])
    assert "no column 'clas': did you mean 'class'?" in refusal(folder, ReadOptions(kinds={"clas": "category"}))
    assert "column 'file' is always a category" in refusal(folder, ReadOptions(kinds={"file": "text"}))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"a.csv": "x\n1\n", "b.csv": "x\n1\n", "t.csv": "n,c\na,1\nb,2\na,2\n"},
            "t.csv, line 4, column 'n': 'a' is there twice: leave one row for each file",
        ),
        (
            {"u/a.csv": "x\n1\n", "v/a.csv": "x\n1\n", "t.csv": "n,c\na,1\nb,2\n"},
            "t.csv, line 2, column 'n': 'a' is u/a.csv, v/a.csv: name files with their folders",
        ),
        ({"notes.md": "?"}, "has no files of data"),
        ({"a.csv": "x\n1\n", "b.csv": "z\n1\n"}, "has no column 'x'"),
        ({"a.csv": "file\n1\n", "b.csv": "file\n1\n"}, "have a column 'file'"),
        ({"a.csv": "x\n1\n", "b.csv": "x\n1\n", "t.csv": "n,c\na,1\n"}, "no column has the names of all files"),
        ({"a.csv": "x\n1\n", "c.csv": "x\n1\n", "b.json": '{"x": 1}'}, "has files of 2 kinds (json, text)"),
    ],
)
def test_a_folder_that_is_no_table_is_refused(files: dict[str, str], problem: str, tmp_path: Path) -> None:
    assert problem in refusal(folder_of(tmp_path / "f", files))


def test_a_wide_table_becomes_a_long_one(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("class,t1,t2,t3\na,1,2,3\nb,4,5,\n")
    table = read(path, ReadOptions(wide="t1:t3"))
    assert table.names == ("class", "sequence", "value")
    assert table.column("value").values.tolist() == [1, 2, 3, 4, 5]
    assert table.column("class").words() == ["a", "a", "a", "b", "b"]
    assert "did you mean" in refusal(path, ReadOptions(wide="t1:t4"))
    assert "turn them round" in refusal(path, ReadOptions(wide="t3:t1"))
    path.write_text("sequence,t1,t2\na,1,2\nb,4,5\n")
    assert "2 columns are called 'sequence'" in refusal(path, ReadOptions(wide="t1:t2"))
    assert "steps must be numbers" in refusal(path, ReadOptions(wide="sequence:t2"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"separator": "::"}, "give one character"),
        ({"decimal": ";"}, "decimal is ';'"),
        ({"names": ("a", "a")}, "name each column once"),
        ({"skip": -1}, "skip is -1"),
        ({"kinds": {"a": "word"}}, "unknown kind of column a: 'word'"),
        ({"encoding": "klingon"}, "encoding is 'klingon'"),
        ({"encoding": "hex"}, "encoding is 'hex'"),
        ({"encoding": "undefined"}, "encoding is 'undefined'"),
    ],
)
def test_options_that_no_file_can_have_are_refused(options: Any, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        ReadOptions(**options)


def test_kinds_of_a_frame(tmp_path: Path) -> None:
    table = read(FRAME, ReadOptions(kinds={"n": "category", "w": "text"}))
    assert (table.column("n").words(), table.column("w").kind) == (["1", "", "3"], "text")
    assert "no column 'm'" in refusal(FRAME, ReadOptions(kinds={"m": "category"}))


def test_an_unknown_column_or_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("load\n1\n")
    assert "no column 'lod': did you mean 'load'?" in refusal(path, ReadOptions(kinds={"lod": "number"}))
    path.write_bytes("ort\nKöln\n".encode("latin-1"))
    assert "is not in utf-8" in refusal(path, ReadOptions(encoding="utf-8"))
    assert "no such file" in refusal(tmp_path / "other.csv")
