"""Files as people have them, and what the reader makes of each. docs/guides/data.md has the same table."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from dataclasses import dataclass, field
from typing import Any

from evornn.data.options import ReadOptions

NAN = float("nan")
PLAIN = "time,load\n2008-12-31,1.5\n2009-01-01,2.5\n"
READ = {"time": ["2008-12-31", "2009-01-01"], "load": [1.5, 2.5]}


@dataclass(frozen=True)
class Awkward:
    """A file with what is to be read from it: values by column, or the beginning of the one line that is asked."""

    title: str
    content: bytes
    values: dict[str, list[Any]] = field(default_factory=dict)  # times as text, missing values as None
    question: str = ""
    note: str = ""  # what is said although it is read
    options: ReadOptions = ReadOptions()  # noqa: RUF009  # it is frozen
    name: str = "data.csv"

    @property
    def row(self) -> str:
        """Its line in the guide."""
        defaults = ReadOptions()
        told = {name: value for name, value in vars(self.options).items() if value != getattr(defaults, name)}
        how = "".join(f", told `{name}={value!r}`" for name, value in told.items())
        outcome = f"asked: `{self.question}…`" if self.question else "read" + how
        return f"| {self.title} | {outcome}{f', and said: `{self.note}…`' if self.note else ''} |"


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.csv", content)
    return buffer.getvalue()


def text(title: str, content: str, **more: Any) -> Awkward:
    return Awkward(title, content.encode(), **more)


FILES = [
    # separators, encodings, compression
    text("comma", PLAIN, values=READ),
    text("semicolon and decimal comma", "time;load\n2008-12-31;1,5\n2009-01-01;2,5\n", values=READ),
    text("tab", PLAIN.replace(",", "\t"), values=READ),
    text("bar", PLAIN.replace(",", "|"), values=READ),
    text("runs of spaces", "a   b\n 1  2.5\n10 -3.5\n", values={"a": [1, 10], "b": [2.5, -3.5]}),
    text("one column with a decimal comma", "load\n1,5\n2,25\n", values={"load": [1.5, 2.25]}),
    Awkward("UTF-8 with a byte order mark", PLAIN.encode("utf-8-sig"), READ),
    Awkward("UTF-16", PLAIN.encode("utf-16"), READ),
    Awkward("UTF-16 without a mark", PLAIN.encode("utf-16-le"), READ),
    Awkward(
        "Latin-1",
        "ort;load\nKöln;1\nBonn;2\n".encode("latin-1"),
        {"ort": ["Köln", "Bonn"], "load": [1, 2]},
        note="is not in UTF-8; it is read as latin-1",
    ),
    Awkward(
        "Windows-1252",
        "price;load\n5 €;1\n6 €;2\n".encode("cp1252"),
        {"price": ["5 €", "6 €"], "load": [1, 2]},
        note="is not in UTF-8; it is read as cp1252",
    ),
    Awkward("gzip", gzip.compress(PLAIN.encode()), READ),
    Awkward("bzip2", bz2.compress(PLAIN.encode()), READ),
    Awkward("xz", lzma.compress(PLAIN.encode()), READ),
    Awkward("zip", zipped(data=PLAIN), READ),
    Awkward("zip of two files", zipped(a=PLAIN, b=PLAIN), question="holds 2 files: unpack it"),
    Awkward("half of a gzip file", gzip.compress(PLAIN.encode())[:30], question="is damaged or incomplete"),
    Awkward("line ends of Windows", PLAIN.replace("\n", "\r\n").encode(), READ),
    Awkward("line ends of old Macs", PLAIN.replace("\n", "\r").encode(), READ),
    Awkward("line ends of several kinds", b"time,load\r2008-12-31,1.5\n2009-01-01,2.5\r\n", READ),
    # headers and rows
    text("no header", "1,2.5\n2,3.5\n", values={"1": [1, 2], "2": [2.5, 3.5]}),
    text(
        "only words",
        "name,city\nAda,Rome\nBob,Bonn\n",
        values={"name": ["Ada", "Bob"], "city": ["Rome", "Bonn"]},
        note="the first line is read as their names",
    ),
    text("a header that may be a row", "id,2008,2009\na,1,2\nb,3,4\n", question="is the first line, id,2008,2009, the"),
    text(
        "a title above the header",
        "Report of 2008\n\ntime,load\n2008-12-31,1.5\n2009-01-01,2.5\n",
        question="line 1: has fewer cells than the 2 of the rows from line 3 on: is it a title?: set skip to 2",
    ),
    text("a title, told", "Report\n\n" + PLAIN, values=READ, options=ReadOptions(skip=2)),
    text("comments at the top", "# by the logger\n" + PLAIN, values=READ, note="1 line of comments at the top"),
    text(
        "a header that begins with #", "#" + PLAIN, values=READ, note="line 1: begins with #, and is read as the names"
    ),
    text(
        "# over columns of spaces", "# a b\n1 2\n3 4\n", values={"a": [1, 3], "b": [2, 4]}, note="line 1: begins with #"
    ),
    text(
        "a column called #", "#,load\n1,1.5\n2,2.5\n", values={"#": [1, 2], "load": [1.5, 2.5]}, note="line 1: begins"
    ),
    text(
        "# over words",
        "#name,city\nAda,Rome\nBob,Bonn\n",
        question="line 1: begins with #: is it a comment, or the names",
    ),
    text(
        "headers between rows",
        PLAIN + "time,load\n2009-01-02,3.5\n",
        values={"time": [*READ["time"], "2009-01-02"], "load": [1.5, 2.5, 3.5]},
        note="the header stands 1 more time",
    ),
    text(
        "two columns of one name",
        "load,load\n1,2\n3,4\n",
        values={"load (1)": [1, 3], "load (2)": [2, 4]},
        note="2 columns are called 'load'",
    ),
    text(
        "two columns of one name, and one like theirs",
        "load,load (1),load\n1,2,3\n4,5,6\n",
        values={"load (2)": [1, 4], "load (1)": [2, 5], "load (3)": [3, 6]},
        note="2 columns are called 'load': they are load (2), load (3)",
    ),
    text(
        "a column without a name, and one like it",
        ",column 1\n1,2\n3,4\n",
        values={"column 2": [1, 3], "column 1": [2, 4]},
    ),
    text("a column without a name", ",load\n0,1.5\n1,2.5\n", values={"column 1": [0, 1], "load": [1.5, 2.5]}),
    text("a separator at each end", "a,b,\n1,2,\n3,4,\n", values={"a": [1, 3], "b": [2, 4]}),
    text("more cells than names", "a,b\n1,2,3\n4,5,6\n", question="line 1: 2 names over rows of 3 cells"),
    text(
        "more cells than names, told",
        "a,b\n1,2,3\n4,5,6\n",
        values={"a": [1, 4], "b": [2, 5], "c": [3, 6]},
        options=ReadOptions(names=("a", "b", "c")),
    ),
    text(
        "a row that is too short",
        "a,b\n1,2\n3\n5,6\n",
        question="line 3: 1 cell under 2 columns: set ragged to fill, or ragged to drop",
    ),
    text(
        "a row that is too short, told",
        "a,b\n1,2\n3\n5,6\n",
        values={"a": [1, 3, 5], "b": [2, None, 6]},
        note="line 3: 1 cell under 2 columns: filled",
        options=ReadOptions(ragged="fill"),
    ),
    text("a row that is too long", "a,b\n1,2\n3,4,5\n5,6\n", question="line 3: 3 cells under 2 columns: quote cells"),
    text("empty rows", "a,b\n1,2\n,\n3,4\n,\n,\n", values={"a": [1, None, 3], "b": [2, None, 4]}),
    text(
        "every other line empty",
        "a,b\n\n1,2\n\n3,4\n\n5,6\n",
        values={"a": [1, 3, 5]},
        note="every other line is empty",
    ),
    text("quotes, with line breaks", 'a,b\n1,"x, y"\n2,"x\nz"\n', values={"a": [1, 2], "b": ["x, y", "x\nz"]}),
    text("a quote that isn't closed", 'a,b\n1,"x\n' + "2,y\n" * 40_000, question="line 2"),
    text("empty file", "", question="empty file: give one row per step"),
    text("a header alone", "time,load\n", question="no rows below the header"),
    text("one row", "time,load\n2008-12-31,1.5\n", values={"time": ["2008-12-31"], "load": [1.5]}),
    # cells
    text("a word among numbers", "load\n1\n2\noff\n4\n", question="line 4, column 'load': 'off' is no number"),
    text(
        "a word among numbers, told",
        "load\n1\n2\noff\n4\n",
        values={"load": [1, 2, None, 4]},
        options=ReadOptions(missing=("off",)),
    ),
    text(
        "numbers with a unit",
        "a;b\n12 %;1\n3 %;2\n",
        values={"a": ["12 %", "3 %"]},
        note="column 'a': numbers with a unit",
    ),
    text(
        "words and numbers",
        "room\nA1\n2\nB7\n4\n",
        values={"room": ["A1", "2", "B7", "4"]},
        note="the first line is read as their names",
    ),
    text(
        "missing values", "a,b\n1,NA\n,2\nNaN,n/a\n4,-\n", values={"a": [1, None, None, 4], "b": [None, 2, None, None]}
    ),
    text("−999 for missing", "a\n1\n-999\n2\n-999\n", values={"a": [1, -999, 2, -999]}, note="column 'a': -999 stands"),
    text("1,234.5", 'a\n"1,234.5"\n"12,345,678"\n', values={"a": [1234.5, 12345678]}),
    text("1.234,5", "a;b\n1.234,5;1\n2,5;2\n", values={"a": [1234.5, 2.5], "b": [1, 2]}),
    text("1_000 and 1 000", "a;b\n1_000;1 000\n2_000;2 000\n", values={"a": [1000, 2000], "b": [1000, 2000]}),
    text("1,234, which may be both", "a;b\n1,234;1\n2,345;2\n", question="column 'a': is 1,234 a number with decimals"),
    text("1,234, told", "a;b\n1,234;1\n2,345;2\n", values={"a": [1.234, 2.345]}, options=ReadOptions(decimal=",")),
    text("inf", "a\n1\n2\ninf\n", question="line 4, column 'a': 'inf' is no number"),
    text(
        "numbers that are names", "id\n007\n012\n", values={"id": ["007", "012"]}, note="column 'id': numbers like 007"
    ),
    text(
        "numbers with many digits",
        "id\n12345678901234567890\n12345678901234567891\n",
        values={"id": ["12345678901234567890", "12345678901234567891"]},
        note="column 'id': numbers like",
    ),
    text("booleans", "a,b\ntrue,No\nFALSE,yes\n", values={"a": [1, 0], "b": [0, 1]}),
    text("a constant column", "a,b\n1,2\n1,3\n", values={"a": [1, 1], "b": [2, 3]}),
    text(
        "a column without values", "a,b\n,2\n,3\n", values={"a": [None, None]}, note="column 'a': has no value at all"
    ),
    # times
    text("31.12.2008", "t;y\n31.12.2008;1\n01.01.2009;2\n", values={"t": ["2008-12-31", "2009-01-01"]}),
    text("12/31/2008", "t,y\n12/31/2008,1\n01/01/2009,2\n", values={"t": ["2008-12-31", "2009-01-01"]}),
    text(
        "01/02/2008",
        "t,y\n01/02/2008,1\n02/02/2008,2\n",
        question="column 't': in 01/02/2008, is the first number the day",
    ),
    text(
        "01/02/2008, told",
        "t,y\n01/02/2008,1\n02/02/2008,2\n",
        values={"t": ["2008-02-01", "2008-02-02"]},
        options=ReadOptions(dates="day_first"),
    ),
    text(
        "31 Dec 2008 11:30 PM",
        "t,y\n31 Dec 2008 11:30 PM,1\n1 Jan 2009 12:15 AM,2\n",
        values={"t": ["2008-12-31T23:30", "2009-01-01T00:15"]},
    ),
    text(
        "31-Dec-08",
        "t,y\n31-Dec-08,1\n1-Jan-09,2\n",
        values={"t": ["2008-12-31", "2009-01-01"]},
        note="column 't': years have two digits",
    ),
    text(
        "31.12.08",
        "t;y\n31.12.08;1\n01.01.09;2\n",
        values={"t": ["2008-12-31", "2009-01-01"]},
        note="column 't': years have two digits",
    ),
    text(
        "20081231",
        "t,y\n20081231,1\n20090101,2\n",
        values={"t": [20081231, 20090101]},
        note="column 't': is 20081231 a date?",
    ),
    text(
        "20081231, told",
        "t,y\n20081231,1\n20090101,2\n",
        values={"t": ["2008-12-31", "2009-01-01"]},
        options=ReadOptions(kinds={"t": "time"}),
    ),
    text(
        "offsets from UTC",
        "t,y\n2008-12-31T23:00+01:00,1\n2009-01-01T00:00+01:00,2\n",
        values={"t": ["2008-12-31T23:00", "2009-01-01"]},
    ),
    text(
        "offsets in some rows",
        "t,y\n2008-12-31T23:00Z,1\n2009-01-01T00:00,2\n",
        question="line 3, column 't': '2009-01-01T00:00' has no offset",
    ),
    text(
        "a day that doesn't exist",
        "t,y\n2008-12-31,1\n2009-02-30,2\n2009-03-01,3\n",
        question="line 3, column 't': '2009-02-30' is no time",
    ),
    # other things
    Awkward("an Excel file", b"\xd0\xcf\x11\xe0" + bytes(600), question="is an Excel file"),
    Awkward("bytes that are no text", bytes(range(256)) * 8, question="is no text"),
    text("a web page", "<!DOCTYPE html><html></html>", question="is a web page: save the table itself as CSV"),
    text("JSON lines", '{"a": 1, "b": "x"}\n{"a": 2.5}\n', values={"a": [1, 2.5], "b": ["x", None]}),
    text(
        "JSON lines with lists",
        '{"y": [1, 2], "c": "x"}\n{"y": [3], "c": "z"}\n',
        values={"sequence": ["1", "1", "2"], "y": [1, 2, 3], "c": ["x", "x", "z"]},
    ),
    text(
        "JSON beside decimal commas",
        '{"a": 1.234, "b": "1,5"}\n{"a": 2.5, "b": "2,5"}\n',
        values={"a": [1.234, 2.5], "b": [1.5, 2.5]},
    ),
    text("a JSON array", '\n [\t{"a": 1},\n{"a": 2}]\n', values={"a": [1, 2]}),
    Awkward("JSON in UTF-16", '{"a": 1}\n{"a": 2}\n'.encode("utf-16"), {"a": [1, 2]}),
    text("a JSON array of numbers", "[1, 2]", question="line 1: is a int: give one object per line"),
    text("JSON that is nested deeply", '{"a": ' + "[" * 100_000, question="line 1: can't be read"),
    text("JSON with a number of 5000 digits", '{"a": ' + "7" * 5000 + "}", question="line 1: can't be read"),
    text("JSON inside JSON", '{"a": {"b": 1}}\n', question="line 1: 'a' is nested"),
    text("half of a JSON line", '{"a": 1}\n{"a": \n', question="line 2: is no JSON"),
]
