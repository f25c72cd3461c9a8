"""Files whose columns are mapped from the cache folder: the same tables and tasks, whatever happened to the cache."""

import json
import logging
import multiprocessing
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from own_files import gestures, shops, write_table

from evornn.data import large_files
from evornn.data.options import ReadOptions
from evornn.data.reading import read, read_file
from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.core import cutting
from evornn.tasks.core.identity import data_digest

SPECS = [
    {"kind": "forecast", "path": "shops.csv", "targets": "sales", "group": "shop", "time": "day", "window": 9,
     "known_ahead": "promotion", "calendar": "weekday", "static": "city", "scale": "group", "horizon": 2},
    {"kind": "classify", "path": "gestures.csv", "target": "gesture", "group": "id"},
    {"kind": "regress", "path": "gestures.csv", "targets": "size", "group": "id", "inputs": ["x", "hand"]},
    {"kind": "label", "path": "gestures.csv", "targets": "hand", "inputs": ["x", "y"], "length": 20},
]  # fmt: skip
HOW = ReadOptions(header=True)
HEADER = "t,when,x,kind,yes,nothing,note"


def awkward(path="awkward.csv", rows=5000):
    """Each kind of column, with missing values; notes are texts."""
    table = []
    for k in range(rows):
        when = f"2024-01-{1 + k // 1000:02}T{k // 100 % 24:02}:00:00+01:00"
        x = "" if k % 50 == 3 else k / 7
        table.append((k, when, x, "abc"[k % 3] if k % 9 else "", ("no", "yes")[k % 2], "", f"note {k} " + "x" * 120))
    write_table(path, HEADER, table)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVORNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(large_files, "LARGE_BYTES", 0)
    return tmp_path


def kept(folder):
    """The folder of the one table in the cache."""
    (found,) = (path for path in (folder / "cache" / "tables").iterdir() if path.is_dir())
    return found


def check_same(one, other):
    assert one.names == other.names and len(one) == len(other)
    assert np.array_equal(one.lines, other.lines) and one.source == other.source
    for a, b in zip(one.columns, other.columns, strict=True):
        assert (a.kind, a.categories) == (b.kind, b.categories), a.name
        if a.kind != "text":
            assert a.values.dtype == b.values.dtype and np.array_equal(a.missing, b.missing), a.name
            assert np.array_equal(a.values[~a.missing], b.values[~b.missing]), a.name
        assert (a.offsets is None) == (b.offsets is None)
        assert a.offsets is None or np.array_equal(a.offsets, b.offsets)


@pytest.mark.parametrize("name", ["awkward.csv", "awkward.csv.gz", "awkward.parquet"])
def test_a_mapped_table_is_the_table(folder, name):
    import pandas as pd

    awkward()
    if name.endswith("gz"):
        import gzip

        (folder / name).write_bytes(gzip.compress((folder / "awkward.csv").read_bytes()))
    elif name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        pd.read_csv("awkward.csv", parse_dates=["when"]).to_parquet(name)
    expected = read(name, HOW)
    for _ in range(2):  # made, then found
        table = read_file(folder / name, HOW)
        assert table.is_mapped and not expected.is_mapped
        check_same(expected, table)
        with pytest.raises(ValueError, match="read-only"):
            table.column("x").values[0] = 1


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])
def test_tasks_of_mapped_tables_are_the_same(monkeypatch, spec):
    gestures()
    shops()
    task = TASKS.build(spec)
    mapped, expected = task.data(), task.data_of(read(spec["path"]))
    monkeypatch.setattr(cutting, "KEPT_BYTES", 0)
    streamed = task.data()
    assert streamed.train.is_lazy
    assert data_digest(expected) == data_digest(mapped) == data_digest(streamed)
    assert expected.note == mapped.note and expected.preparation == mapped.preparation
    for one, other in zip(expected.baselines, mapped.baselines, strict=True):
        assert one.name == other.name and one.test == pytest.approx(other.test, rel=1e-5)


@pytest.mark.parametrize("harm", ["cut", "change", "index", "gone", "version"])
def test_a_damaged_cache_is_made_again(folder, harm, caplog):
    awkward()
    expected = read_file(folder / "awkward.csv", HOW)
    where = kept(folder)
    file = where / "2.bin"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    elif harm == "change":
        content = bytearray(file.read_bytes())
        content[1000] ^= 1
        file.write_bytes(content)
    elif harm == "index":
        (where / "index.json").write_text("{")
    elif harm == "version":
        (where / "index.json").write_text(json.dumps({"arrays": {}}))
    else:
        file.unlink()
    with caplog.at_level(logging.WARNING, "evornn.data"):
        again = read_file(folder / "awkward.csv", HOW)
    assert "is damaged" in caplog.text and "made again" in caplog.text
    check_same(read("awkward.csv", HOW), again)
    del expected


def test_an_interrupt_leaves_nothing_that_is_read(folder, monkeypatch):
    awkward()

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("evornn.data.mapped._checksum", interrupt)
        patch.setattr("evornn.data.mapped._write", interrupt)
        read_file(folder / "awkward.csv", HOW)
    assert not [path for path in (folder / "cache" / "tables").iterdir() if path.is_dir()]
    check_same(read("awkward.csv", HOW), read_file(folder / "awkward.csv", HOW))


def test_what_a_killed_process_left_is_removed(folder):
    awkward()
    read_file(folder / "awkward.csv", HOW)
    where = kept(folder)
    rest = where.with_suffix(".part")
    shutil.move(where, rest)
    (rest / "index.json").unlink()
    check_same(read("awkward.csv", HOW), read_file(folder / "awkward.csv", HOW))
    assert not rest.exists() and kept(folder) == where


def test_another_file_and_other_options_have_a_table_of_their_own(folder):
    awkward()
    first = read_file(folder / "awkward.csv", HOW)
    other = read_file(folder / "awkward.csv", ReadOptions(header=True, kinds={"t": "category"}))
    assert (first.column("t").kind, other.column("t").kind) == ("number", "category")
    awkward(rows=100)
    assert len(read_file(folder / "awkward.csv", HOW)) == 100
    assert len(first) == 5000  # what is mapped stays


def _read_x(_):
    return float(np.nansum(read_file("awkward.csv", HOW).column("x").values))


def test_processes_share_what_one_has_made(folder):
    awkward()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        sums = pool.map(_read_x, range(3))
    assert len(set(sums)) == 1 and kept(folder)


def test_errors_of_the_file_are_those_of_reading_it(folder):
    write_table("bad.csv", "a,b", [(1, 2)] * 2000 + [(1, 2, 3)])
    with pytest.raises(EvornnError, match="3 cells under 2 columns") as caught:
        read_file(folder / "bad.csv", HOW)
    assert "\n" not in str(caught.value)
    assert not [path for path in (folder / "cache" / "tables").iterdir() if path.is_dir()]


def test_only_large_tables_are_mapped(folder, monkeypatch):
    awkward()
    write_table("wide.csv", "id,s1,s2", [(1, 2, 3)] * 50)
    assert large_files.is_large(folder / "awkward.csv", HOW)
    assert not large_files.is_large(folder / "wide.csv", ReadOptions(wide="s1:s2"))
    assert not large_files.is_large(folder, HOW)
    np.save("array.npy", np.zeros((9, 4, 2)))
    assert not large_files.is_large(folder / "array.npy", HOW)
    monkeypatch.setattr(large_files, "LARGE_BYTES", 10**6)
    assert not large_files.is_large(folder / "wide.csv", HOW)


def test_what_must_fit_into_memory_is_refused_where_it_does_not(folder, monkeypatch):
    (folder / "rows.jsonl").write_text('{"a": 1, "b": 2}\n' * 500)
    assert len(read_file("rows.jsonl", ReadOptions())) == 500
    monkeypatch.setattr("evornn.memory.psutil.virtual_memory", lambda: SimpleNamespace(available=10_000))
    with pytest.raises(EvornnError, match=r"^rows.jsonl: .*would take .*: save it as one long table in CSV") as caught:
        read_file("rows.jsonl", ReadOptions())
    assert "\n" not in str(caught.value)
