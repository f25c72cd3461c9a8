"""Text of any encoding as blocks of whole records in UTF-8, so that a file of any size takes little memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from evornn.data.opening import open_plain
from evornn.errors import EvornnError

PIECE = 1 << 20  # bytes read at once
BLOCK = 1 << 23  # bytes of a block; more if a quoted cell has many lines
FIRST = 1 << 18  # bytes of the first block, from which all is told
LONGEST = 1 << 26  # bytes of a block that can only come from a quote that isn't closed

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_QUOTE, _NEWLINE = ord('"'), ord("\n")


def find_encoding(path: Path) -> str:
    """The encoding that fits all of a file: what its first bytes say, else UTF-8, else Western European.

    Raises EvornnError for a file that is no text.
    """
    with open_plain(path) as file:
        head = file.read(PIECE)
        for mark, name in _BOMS:
            if head.startswith(mark):
                return name
        if b"\0" in head:
            return _wide_encoding(path, head)
        decoder = codecs.getincrementaldecoder("utf-8")()
        is_utf8, is_windows = True, False
        piece = head
        while piece:
            if is_utf8:
                is_utf8 = _decodes(decoder, piece)
            is_windows = is_windows or (not is_utf8 and any(byte in piece for byte in range(0x80, 0xA0)))
            piece = file.read(PIECE)
        if is_utf8 and _decodes(decoder, b"", final=True):
            return "utf-8"
    return "cp1252" if is_windows else "latin-1"


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return False
    return True


def _wide_encoding(path: Path, head: bytes) -> str:
    """UTF-16 without a mark has a zero beside each letter of English; other zeros are no text."""
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > 0.5 * len(zeros) and head.count(0) < 0.6 * len(head):
            return name
    raise EvornnError(f"{path}: is no text: give a table as CSV, Parquet, NPZ or JSON lines, or a WAV recording")


def blocks(file: IO[bytes], encoding: str, size: int = BLOCK) -> Iterator[bytes]:
    """Whole records in UTF-8, which end with a line break, those of the last block perhaps not.

    Raises EvornnError if a quote is opened and not closed for 64 MB, UnicodeDecodeError for another encoding.
    """
    rest = b""
    for piece in _utf8(file, encoding, size):
        rest += piece
        cut = _last_record(rest)
        if cut > len(rest) // 2:  # else a cell has many lines
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > LONGEST:
            raise EvornnError("a quote is opened and not closed: mend the quotes")
    if rest:
        yield rest


def _utf8(file: IO[bytes], encoding: str, size: int) -> Iterator[bytes]:
    """Bytes in UTF-8 without a mark. All lines end as those of Unix, whatever they ended with."""
    decoder = codecs.getincrementaldecoder(encoding)()
    is_utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    first, held = True, b""
    while piece := file.read(min(size, FIRST) if first else size):
        data = piece if is_utf8 else decoder.decode(piece).encode()
        data = held + (data.removeprefix(codecs.BOM_UTF8) if first else data)
        held = b"\r" if data.endswith(b"\r") else b""  # half of an end, perhaps
        yield _unix_lines(data.removesuffix(held))
        first = False
    if rest := held + decoder.decode(b"", True).encode():
        yield _unix_lines(rest)


def _unix_lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _last_record(data: bytes) -> int:
    """The end of the last record: a line break with an even number of quotes before it. 0: there is none."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    codes = np.frombuffer(data, np.uint8)
    inside = np.logical_xor.accumulate(codes == _QUOTE)
    ends = np.flatnonzero((codes == _NEWLINE) & ~inside)
    return int(ends[-1]) + 1 if len(ends) else 0
