"""What becomes of files as people have them: the right reading, or one line that asks. Never a traceback."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from awkward_files import FILES, Awkward

from evornn.data.reading import load, read
from evornn.data.table import Column
from evornn.errors import EvornnError

GUIDE = Path(__file__).parents[2] / "docs/guides/data.md"


def plain(column: Column) -> list[Any]:
    """Values as a person would write them: times as short as possible, None for a missing value."""
    if column.kind == "time":
        texts = [
            str(value).removesuffix(".000000").removesuffix(":00").removesuffix("T00:00") for value in column.values
        ]
    else:
        texts = column.words() if column.kind in ("category", "text") else column.values.tolist()
    return [None if missing else value for value, missing in zip(texts, column.missing, strict=True)]


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    file: Awkward = request.getfixturevalue("file")
    (tmp_path / file.name).write_bytes(file.content)
    return tmp_path / file.name


@pytest.mark.parametrize("file", [file for file in FILES if not file.question], ids=lambda file: file.title)
def test_a_file_that_is_read(file: Awkward, path: Path) -> None:
    table = read(path, file.options)
    values = {name: plain(table.column(name)) for name in file.values}
    assert values == file.values
    assert len(table.lines) == len(table) and (np.diff(table.lines) >= 0).all()
    doubts = " ".join(str(doubt) for doubt in load(path, file.options).doubts)
    assert file.note in doubts and bool(file.note) == bool(doubts)


@pytest.mark.parametrize("file", [file for file in FILES if file.question], ids=lambda file: file.title)
def test_a_file_that_leaves_a_question(file: Awkward, path: Path) -> None:
    with pytest.raises(EvornnError) as caught:
        read(path, file.options)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    assert file.question in message


def test_there_are_forty_and_the_guide_has_the_same() -> None:
    assert len(FILES) >= 40
    lines = GUIDE.read_text().splitlines()
    assert [file.row for file in FILES if file.row not in lines] == []
