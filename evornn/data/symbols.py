"""A text as a sequence of symbols: its characters, words or bytes, and their places in a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.errors import EvornnError

Unit: TypeAlias = Literal["characters", "words", "bytes"]
Codes: TypeAlias = NDArray[np.int64]  # [N] places in a vocabulary
UNKNOWN = "<unknown>"  # the first symbol of a vocabulary, for all that it doesn't have
SINGULAR: dict[Unit, str] = {"characters": "character", "words": "word", "bytes": "byte"}
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
NO_SPACE = re.compile(r" (?=[.,;:!?)\]}’”])|(?<=[(\[{“])\s")


def split_text(text: str | bytes, unit: Unit, encoding: str = "utf-8", lower: bool = False) -> list[str]:
    """The symbols of a text, in order; a byte is its number. Raises ValueError or LookupError if it is none in this
    encoding.

    Args:
        text: As text, or as the bytes of a file.
        unit: What a symbol is.
        encoding: Of bytes; a name that Python knows.
        lower: Whether capital letters become small ones.
    """
    if unit == "bytes":
        return [str(byte) for byte in (text.encode() if isinstance(text, str) else text)]
    if isinstance(text, bytes):
        text = text.decode(encoding)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    text = text.lower() if lower else text
    return WORD.findall(text) if unit == "words" else list(text)


def join_symbols(symbols: Sequence[str], unit: Unit) -> str:
    """A text of symbols: words with spaces between them, bytes as UTF-8 where they are that."""
    if unit == "bytes":
        return bytes(map(int, symbols)).decode(errors="replace")
    return NO_SPACE.sub("", " ".join(symbols)) if unit == "words" else "".join(symbols)


def read_symbols(
    path: Path,
    unit: Unit,
    encoding: str = "utf-8",
    lower: bool = False,
    advice: str = "set encoding, or ask for unit: bytes",
) -> list[str]:
    """The symbols of a file, in order. Raises EvornnError for one that can't be read.

    Args:
        path: A text file; for bytes, any file.
        unit: What a symbol is.
        encoding: A name that Python knows.
        lower: Whether capital letters become small ones.
        advice: What to do about a file that is no text in this encoding.
    """
    try:
        return split_text(path.read_bytes(), unit, encoding, lower)
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except (OSError, ValueError, LookupError) as error:
        raise EvornnError(f"{path}: can't be read as text ({error}): {advice}") from None


def encode_text(symbols: Sequence[str], vocabulary: Sequence[str]) -> Codes:
    """[N] the place of each symbol in the vocabulary, 0 for one that is not there."""
    places = {name: place for place, name in enumerate(vocabulary)}
    return np.fromiter((places.get(symbol, 0) for symbol in symbols), np.int64, len(symbols))


def is_vocabulary(unit: str, names: Sequence[str]) -> bool:
    """Whether these can be the symbols of such a text: `UNKNOWN`, and others; bytes are numbers.

    Args:
        unit: In the singular.
        names: The symbols.
    """
    if unit not in SINGULAR.values() or names[:1] != (UNKNOWN,) or len(set(names)) < len(names):
        return False
    return unit != "byte" or set(names[1:]) <= {str(byte) for byte in range(256)}
