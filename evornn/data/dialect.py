"""How the cells of a text file are separated, and where its names stand: found out from its first lines."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from evornn.data.doubts import Doubt, amount
from evornn.data.header import Row, commented_names, find_names, is_value
from evornn.data.numbers import PATTERNS
from evornn.data.options import ReadOptions
from evornn.errors import EvornnError

SEPARATORS = ("\t", ";", "|", ",")
SAMPLE_ROWS = 300
_COMMENTED = re.compile(r"\A#+ *(?=[^#\s,;|])")  # what stands before the first name of a header that begins with #
EVEN = 0.5  # least share of rows that have the same number of cells
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "spaces", "": "none (one column)"}


@dataclass(frozen=True)
class Dialect:
    """How to read the rows of a text file."""

    separator: str  # empty: one column
    names: tuple[str, ...]
    header: tuple[str, ...] | None  # its cells as they stand in the file; None: it has none
    first_line: int  # of the rows, from 1
    width: int  # cells of a row
    skips_blank: bool = False  # every other line is empty
    doubts: tuple[Doubt, ...] = field(default=())


def split_rows(text: str, separator: str, first_line: int = 1, is_whole: bool = False) -> Iterator[Row]:
    """The rows of a text, which may end within a row unless it is whole. Raises EvornnError for a quote that isn't
    closed."""
    lines: Iterable[str] = io.StringIO(text, newline="")
    if separator == " ":
        lines = (line.strip() + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=separator or "\x1f", skipinitialspace=True)
    begin = end = 0
    try:
        for row in reader:
            begin, end = end, reader.line_num
            yield end + first_line - 1, row
    except csv.Error as error:
        raise EvornnError(f"line {end + first_line}: can't be read as CSV ({error}): mend the quotes") from None
    if is_whole and end > begin + 1 and text.count('"') % 2:
        raise EvornnError(f"line {begin + first_line}: a quote is opened and not closed: close it, or double it")


def find_dialect(head: str, options: ReadOptions) -> Dialect:
    """What the first lines of a file say.

    Args:
        head: Whole lines.
        options: Say what is not to be found out.

    Raises:
        EvornnError: There is no row.
    """
    lines = _lines(head)
    above = _comment_lines(lines) if options.skip is None else options.skip
    text = _COMMENTED.sub("", "".join(lines[above:]))
    doubts = _comment_doubts(above) if options.skip is None else []
    separator = options.separator if options.separator is not None else _find_separator(text)
    every = list(split_rows(text, separator, above + 1, is_whole=True))
    rows = [row for row in every if any(cell.strip() for cell in row[1])][: SAMPLE_ROWS + 1]
    if not rows:
        raise EvornnError("empty file: give one row per step")
    width = Counter(len(row) for _, row in rows[1:] or rows).most_common(1)[0][0]
    start = _preamble(rows, width)
    title, rows = rows[:start], rows[start:]
    if title and options.skip is None:
        doubts.append(_preamble_doubt(title[0][0], rows[0][0], width))
    last = lines[above - 1] if above and not title and options.skip is None else ""
    cells = next((row for _, row in split_rows(_COMMENTED.sub("", last), separator)), [])
    if doubt := commented_names(cells, above, rows, options):
        above -= not doubt.blocking
        below = find_dialect(head, replace(options, skip=above))
        return replace(below, doubts=(*_comment_doubts(above), doubt, *below.doubts))
    names, header, more = find_names(rows, width, options)
    body = rows[1:] if header is not None else rows
    if not body:
        raise EvornnError("no rows below the header: give one row per step")
    first_line = rows[0][0] + 1 if header is not None else _begin(rows[0], every, above)
    blank = sum(not any(cell.strip() for cell in row) for _, row in every)
    skips_blank = len(names) > 1 and len(body) > 2 and blank >= len(body) - 1
    return Dialect(separator, names, header, first_line, len(names), skips_blank, (*doubts, *more))


def _begin(row: Row, rows: Sequence[Row], above: int) -> int:
    """The first line of a record, which may have several."""
    k = rows.index(row)
    return rows[k - 1][0] + 1 if k else above + 1


def _lines(text: str) -> list[str]:
    """With their ends. (`splitlines` ends lines at further letters.)"""
    return list(io.StringIO(text, newline=""))


def _comment_lines(lines: Sequence[str]) -> int:
    """How many lines at the top begin with #."""
    return len(list(takewhile(lambda line: line.startswith("#"), lines)))


def _comment_doubts(count: int) -> list[Doubt]:
    comments = f"{amount(count, 'line')} of comments at the top {'is' if count == 1 else 'are'} left out"
    return [Doubt(comments)] if count else []


def _find_separator(text: str) -> str:
    """The one by which rows have the same number of clean cells."""
    text = "".join(_lines(text)[:SAMPLE_ROWS])
    scores = {separator: _score(text, separator) for separator in SEPARATORS}
    best = max(scores, key=lambda separator: scores[separator])
    if scores[best] > EVEN:
        return best
    return " " if _is_columns_of_spaces(text) else ""


def _score(text: str, separator: str) -> float:
    """Share of rows with the usual number of cells, times the share of cells that hold no other separator."""
    try:
        rows = [row for _, row in split_rows(text, separator) if any(cell.strip() for cell in row)]
    except EvornnError:
        return 0.0
    width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
    if width == 1 or (len(rows) > 1 and len(rows[0]) == 1 and count < len(rows) - 1):
        return 0.0
    if separator == "," and len(rows[0]) == 1 and _is_decimal_column(rows):
        return 0.0
    others = [other for other in SEPARATORS if other not in (separator, ",")]
    cells = [cell for row in rows for cell in row]
    clean = sum(not any(other in cell for other in others) for cell in cells)
    return (count / len(rows)) * (clean / len(cells)) ** 2


def _is_decimal_column(rows: Sequence[Sequence[str]]) -> bool:
    """A header of one name over numbers with a decimal comma."""
    return all(PATTERNS[","].fullmatch(",".join(row)) for row in rows[1:])


def _is_columns_of_spaces(text: str) -> bool:
    """Whether spaces divide all rows into the same number of cells, of which most are numbers or dates."""
    rows = [row for _, row in split_rows(text, " ") if row and row != [""]]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or widths <= {0, 1}:
        return False
    body = [cell for row in (rows[1:] or rows) for cell in row]
    return sum(is_value(cell) for cell in body) > len(body) / 2


def _preamble(rows: Sequence[Row], width: int) -> int:
    """How many rows at the top are shorter than all others: a title."""
    start = next((k for k, (_, row) in enumerate(rows) if len(row) >= width - 1 and len(row) > 1), 0)
    return start if width > 1 else 0


def _preamble_doubt(line: int, last: int, width: int) -> Doubt:
    question = f"line {line}: has fewer cells than the {width} of the rows from line {last} on: is it a title?"
    return Doubt(question, (("skip", str(last - 1)),), True)
