"""CSV and its relatives: files of any size, block by block. Regular blocks are read by pandas, others row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from evornn.data.contents import Contents
from evornn.data.dialect import NAMES, Dialect, find_dialect, split_rows
from evornn.data.doubts import Doubt, amount, file_error
from evornn.data.encoding import blocks, find_encoding
from evornn.data.fast_text import read_regular
from evornn.data.header import Row
from evornn.data.opening import open_plain
from evornn.data.options import ReadOptions
from evornn.data.table_reader import TableReader
from evornn.errors import EvornnError

HEAD = 1 << 18  # bytes from which a dialect is told
BATCH = 8192  # rows


@dataclass
class TextFile:
    """A text file while it is read."""

    path: Path
    source: str
    encoding: str
    dialect: Dialect
    repeated: int = 0  # headers between rows
    short: list[Row] = field(default_factory=list)  # the first row that lacks cells, and so on
    long: list[Row] = field(default_factory=list)
    ragged: int = 0


def open_text(path: Path, source: str, options: ReadOptions) -> TextFile:
    """Find out encoding and dialect. Raises EvornnError for a file that can't be read or has no rows."""
    encoding = options.encoding or find_encoding(path)
    try:
        with open_plain(path) as file:
            head = next(blocks(file, encoding, HEAD), b"").decode()
    except UnicodeError as error:
        raise EvornnError(f"{source}: is not in {encoding} ({error}): set encoding to another") from None
    except EvornnError as error:
        raise file_error(str(error), source) from None
    whole = head[: head.rfind("\n") + 1] if len(head) >= HEAD // 2 and "\n" in head else head
    try:
        return TextFile(path, source, encoding, find_dialect(whole, options))
    except EvornnError as error:
        raise file_error(str(error), source) from None


def read_rows(text: TextFile, reader: TableReader, positions: Sequence[int] | None = None) -> None:
    """Read all rows into the columns of a table.

    Args:
        text: The file.
        reader: Takes the cells.
        positions: The file's column for each of the reader's; None: all, in order.

    Raises:
        EvornnError: The file can't be read.
    """
    for _ in _read_blocks(text, reader, positions):
        pass
    reader.doubts += _doubts(text, reader.options)


def read_text_blocks(path: Path, options: ReadOptions) -> Iterator[Contents]:
    """The rows of a text file in parts, each with the doubts that there are so far."""
    text = open_text(path, path.name, options)
    reader = TableReader(text.dialect.names, options)
    for _ in _read_blocks(text, reader, None):
        if len(reader.lines):
            table = reader.part(path.name)
            yield Contents(table, (*reader.doubts, *_doubts(text, options)), about_text(text))
            reader.doubts.clear()


def _read_blocks(text: TextFile, reader: TableReader, positions: Sequence[int] | None) -> Iterator[None]:
    """Stops after each block. Empty rows at the end, as spreadsheets leave them, are none."""
    line, held = 1, b""
    try:
        with open_plain(text.path) as file:
            for block in blocks(file, text.encoding):
                rows, first = _below(block, line, text.dialect.first_line)
                line += block.count(b"\n")
                rows, first = held + rows, first - held.count(b"\n")
                end = _blank_end(rows, text.dialect.separator)
                rows, held = rows[:end], rows[end:]
                if rows and not (positions is None and read_regular(rows, text.dialect, text.source, reader, first)):
                    _read_slowly(rows.decode(), text, reader, first, positions)
                yield
    except UnicodeError as error:
        raise EvornnError(f"{text.source}: is not in {text.encoding} ({error}): set encoding to another") from None
    except EvornnError as error:
        raise file_error(str(error), text.source) from None


def _blank_end(rows: bytes, separator: str) -> int:
    """Where the empty rows at the end of some begin."""
    blank = b' \t\n"' + separator.encode()
    if rows[rows.rfind(b"\n", 0, -1) + 1 :].strip(blank):
        return len(rows)
    filled = len(rows.rstrip(blank))
    end = rows.find(b"\n", filled) + 1 if filled else 0
    while end and rows.count(b'"', end) % 2:  # within a cell that ends with empty lines
        end = rows.find(b"\n", end) + 1
    return end if end or not filled else len(rows)


def _below(block: bytes, line: int, first_line: int) -> tuple[bytes, int]:
    """What a block that begins at `line` has from the first row on, and the line at which that begins."""
    start = 0
    for _ in range(first_line - line):
        start = block.find(b"\n", start) + 1
        if not start:
            return b"", first_line
    return block[start:], max(line, first_line)


def _read_slowly(block: str, text: TextFile, reader: TableReader, line: int, positions: Sequence[int] | None) -> None:
    """Row by row, a few thousand at once."""
    header, width = text.dialect.header, text.dialect.width
    name = header[0] if header else None
    rows = split_rows(block, text.dialect.separator, line, is_whole=True)
    while batch := list(islice(rows, BATCH)):
        fitting = [
            row if len(row[1]) == width > 1 and row[1][0].strip() != name else _fitting(row, text, reader.options)
            for row in batch
        ]
        if kept := [row for row in fitting if row is not None]:
            columns = list(zip(*(row for _, row in kept), strict=True))
            lines = np.array([number for number, _ in kept], np.int64)
            reader.add(columns if positions is None else [columns[k] for k in positions], lines, text.source)


def _fitting(row: Row, text: TextFile, options: ReadOptions) -> Row | None:
    """A row with as many cells as there are columns; None: it is to be left out."""
    line, cells = row
    width = text.dialect.width
    if text.dialect.header is not None and tuple(map(str.strip, cells)) == text.dialect.header:
        text.repeated += 1
        return None
    if not cells or cells == [""]:
        return None if text.dialect.skips_blank else (line, [""] * width)
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return line, cells[:width]
    if len(cells) == width:
        return row
    text.ragged += 1
    kind = text.short if len(cells) < width else text.long
    if not kind:
        kind.append(row)
    if len(cells) > width or options.ragged == "drop":
        return None
    return line, [*cells, *[""] * (width - len(cells))]


def _doubts(text: TextFile, options: ReadOptions) -> list[Doubt]:
    doubts = list(text.dialect.doubts)
    if text.encoding in ("cp1252", "latin-1") and options.encoding is None:
        advice = "if letters are wrong, set encoding"
        doubts.append(Doubt(f"{text.source}: is not in UTF-8; it is read as {text.encoding}: {advice}"))
    if text.repeated:
        doubts.append(
            Doubt(
                f"{text.source}: the header stands {amount(text.repeated, 'more time')}, between rows, and is left out"
            )
        )
    if text.dialect.skips_blank:
        doubts.append(Doubt(f"{text.source}: every other line is empty, and left out"))
    for line, cells in text.long:
        doubts.append(Doubt(_ragged(text, line, cells) + _comma_hint(text), blocking=True))
    for line, cells in text.short:
        refused = options.ragged == "refuse"
        answers = (("ragged", "fill"), ("ragged", "drop")) if refused else ()
        done = {"refuse": "", "fill": ": filled with missing values", "drop": ": dropped"}[options.ragged]
        doubts.append(Doubt(_ragged(text, line, cells) + done, answers, refused))
    return doubts


def _ragged(text: TextFile, line: int, cells: Sequence[str]) -> str:
    more = f" ({amount(text.ragged - 1, 'more row')} like it)" if text.ragged > 1 else ""
    return (
        f"{text.source}, line {line}: {amount(len(cells), 'cell')} under {amount(text.dialect.width, 'column')}{more}"
    )


def _comma_hint(text: TextFile) -> str:
    if text.dialect.separator == ",":
        return ": quote cells that have a comma; if commas are decimal, save the file with semicolons"
    return ": quote cells that hold a separator"


def read_text(path: Path, options: ReadOptions) -> Contents:
    """CSV and its relatives as a table."""
    text = open_text(path, path.name, options)
    reader = TableReader(text.dialect.names, options)
    read_rows(text, reader)
    return Contents(reader.part(path.name), tuple(reader.doubts), about_text(text))


def about_text(text: TextFile) -> dict[str, str]:
    """How a file is read, in words."""
    separator = text.dialect.separator
    return {
        "format": "text",
        "separator": NAMES.get(separator, separator),
        "encoding": text.encoding,
        "header": "none" if text.dialect.header is None else f"line {text.dialect.first_line - 1}",
    }
