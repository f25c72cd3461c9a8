"""Files are written as a whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evornn import cache, files
from evornn.errors import EvornnError
from evornn.experiments.reporting.report import write_page

LONG = b"x" * 50_000


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can get longer than 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    with full_disk(), pytest.raises(EvornnError, match=r"can't write the report to .*: File too large; choose another"):
        write_page(file, LONG.decode())
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large"), cache.atomic_write(tmp_path / "kernel") as file:
        file.write(LONG)
        file.flush()
    assert list(tmp_path.iterdir()) == []


def test_who_writes_at_the_same_time_does_not_disturb(tmp_path: Path) -> None:
    """Threads of a process too."""
    place = tmp_path / "report.html"
    with files.atomic_write(place) as one:
        one.write(LONG)
        files.write(place, b"other")
        assert place.read_bytes() == b"other"
    assert place.read_bytes() == LONG and list(tmp_path.iterdir()) == [place]


def test_a_file_is_replaced_with_its_rights_and_behind_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "report.html", tmp_path / "link.html"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    files.write(link, LONG)
    assert link.is_symlink() and file.read_bytes() == LONG and stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    files.write(tmp_path / "new", LONG)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write(pipe, b"page")
        assert os.read(reader, 10) == b"page" and pipe.is_fifo()
    finally:
        os.close(reader)
