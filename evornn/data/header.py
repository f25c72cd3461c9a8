"""Where the columns of a text file have their names: above them, after a #, or nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count, pairwise

from evornn.data.doubts import Doubt
from evornn.data.numbers import PATTERNS
from evornn.data.options import MISSING, ReadOptions
from evornn.data.table import BOOLEANS
from evornn.data.times import is_date_like
from evornn.errors import EvornnError

Row = tuple[int, list[str]]  # the last line of a record, from 1, and its cells

WORDS = frozenset(word for pair in BOOLEANS[:2] for word in pair)  # on and off may be names of columns


def find_names(
    rows: Sequence[Row], width: int, options: ReadOptions
) -> tuple[tuple[str, ...], tuple[str, ...] | None, list[Doubt]]:
    """Names of the columns, the header's cells, and what is not certain about them."""
    first, body = [cell.strip() for cell in rows[0][1]], [row for _, row in rows[1:]]
    has_header, doubt = (options.header, None) if options.header is not None else _has_header(first, body, width)
    doubts = [doubt] if doubt else []
    header = tuple(first) if has_header else None
    if options.names:
        if len(options.names) != width:
            raise EvornnError(f"rows have {width} cells, names has {len(options.names)} names: set names to {width}")
        return options.names, header, doubts
    if header is None:
        return tuple(str(k + 1) for k in range(width)), None, doubts
    if len(header) < width and all(len(row) >= width and not row[-1].strip() for row in body):
        width = len(header)  # each row ends with a separator
    if len(header) > width and not any(header[width:]):
        header = header[:width]
    if len(header) == width > 1 and not header[-1] and not any(row[-1].strip() for row in body if len(row) == width):
        header, width = header[:-1], width - 1
    if len(header) != width:
        question = f"line {rows[0][0]}: {len(header)} names over rows of {width} cells: what are the names of all?"
        names = _unique((*header, *[""] * (width - len(header)))[:width], doubts)
        return names, header, [*doubts, Doubt(question, (("names", ",".join(names)),), True)]
    return _unique(header, doubts), header, doubts


def _has_header(first: Sequence[str], body: Sequence[Sequence[str]], width: int) -> tuple[bool, Doubt | None]:
    """Whether the first row has names, by columns of numbers or dates below a word."""
    votes = list[bool]()
    for k, cell in enumerate(first[:width]):
        column = [row[k].strip() for row in body if k < len(row) and row[k].strip() not in MISSING][:100]
        if cell in MISSING or not column:
            continue
        if sum(map(is_value, column)) > len(column) / 2:
            votes.append(not is_value(cell))
    if not body:
        values = sum(map(is_value, first))
        return (True, None) if not values else (False, None)
    if votes and all(votes):
        return True, None
    answers = (("header", "true"), ("header", "false"))
    if votes and not any(votes):
        names = [cell for cell in first if cell and not is_value(cell)]
        repeated = all(any(cell == other.strip() for row in body for other in row) for cell in names)
        if repeated and not (_is_count(first) and not _is_count(body[0])):
            return False, None
    if not votes and _are_names(first, body):
        return True, Doubt("all columns are words: the first line is read as their names", (("header", "false"),))
    return bool(votes and any(votes)), Doubt(
        f"is the first line, {','.join(first)[:60]}, the names of the columns?", answers, True
    )


def _is_count(cells: Sequence[str]) -> bool:
    """Whether cells are whole numbers that rise evenly, as years do: they may be names."""
    if len(cells) < 3 or not all(cell.strip().isdecimal() for cell in cells):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(cells)}
    return len(steps) == 1 and min(steps) > 0


def _are_names(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether all cells are different and none stands in its column once more."""
    if len(set(first)) < len(first) or not all(first):
        return False
    return not any(cell.strip() == first[k] for row in body for k, cell in enumerate(row[: len(first)]))


def _unique(header: Sequence[str], doubts: list[Doubt]) -> tuple[str, ...]:
    """Names, each once: a name that stands there twice is numbered, an empty one is called by its position."""
    counts = Counter(name for name in header if name)
    taken = {name for name in counts if counts[name] == 1}
    own = list[str]()
    for k, name in enumerate(header):
        numbered = (f"{name} ({n})" if name else f"column {n}" for n in count(1 if name else k + 1))
        own.append(name if counts[name] == 1 else next(one for one in numbered if one not in taken))
        taken.add(own[-1])
    for name in (name for name in counts if counts[name] > 1):
        first, second = [mine for mine, old in zip(own, header, strict=True) if old == name][:2]
        doubts.append(Doubt(f"{counts[name]} columns are called {name!r}: they are {first}, {second}, … here"))
    return tuple(own)


def commented_names(names: Sequence[str], above: int, rows: Sequence[Row], options: ReadOptions) -> Doubt | None:
    """What is to be said of the cells in line `above`, which begins with #, if they may be the names of the columns.
    None: they aren't."""
    width = len(rows[0][1])
    if len(names) != width or width < 2 or options.header is False or any(map(is_value, names)):
        return None
    first, body = [cell.strip() for cell in rows[0][1]], [row for _, row in rows[1:]]
    has_header, doubt = _has_header(first, body, width)
    if doubt is None and has_header:
        return None
    if doubt is None:
        return Doubt(f"line {above}: begins with #, and is read as the names of the columns", (("skip", str(above)),))
    question = f"line {above}: begins with #: is it a comment, or the names of the columns?"
    return Doubt(question, (("skip", str(above)), ("skip", str(above - 1))), True)


def is_value(cell: str) -> bool:
    """Whether a cell is a number, a date or a boolean, as no name of a column is."""
    word = cell.strip()
    is_number = any(pattern.fullmatch(word) for pattern in PATTERNS.values())
    return is_number or word.lower() in WORDS or any(is_date_like([word]).values())
