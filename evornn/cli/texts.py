"""Commands on models of a text: predict, also beyond its end and line by line, and evaluate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evornn.data.symbols import read_symbols
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.data.table import Table
    from evornn.models.standalone import StandaloneModel

PORTION = 10_000  # symbols whose answers are written at a time


def is_of_text(model: StandaloneModel) -> bool:
    """Whether a model is one of a text."""
    return model.preparation is not None and model.preparation.question == "language"


def read_text(model: StandaloneModel, file: Path) -> list[str]:
    """The symbols of a file, as training had them. Raises EvornnError."""
    from evornn.models.text import text_preparation, unit_of

    preparation = text_preparation(model)
    encoding = preparation.read.encoding or "utf-8"
    advice = f"the model learned from a text in {encoding}: give one"
    return read_symbols(file, unit_of(preparation), encoding, preparation.lower, advice)


def answers(model: StandaloneModel, file: Path | None, coverage: float | None) -> Iterator[Table]:
    """How probable each symbol of a file is, or of standard input, line by line."""
    from evornn.models.rows import portions
    from evornn.models.text import TextReader, split

    if coverage is not None:
        raise EvornnError("--coverage: symbols have probabilities instead of intervals: leave it out")
    reader = TextReader(model)
    if file is None:
        yield from (reader.table(split(reader.preparation, line)) for line in sys.stdin.buffer)
        return
    symbols = read_text(model, file)
    if not symbols:
        raise EvornnError(f"{file}: is empty: give a text")
    yield from (reader.table(symbols[part]) for part in portions(len(symbols), PORTION))


def continuation(
    model: StandaloneModel, file: Path | None, prompt: str | None, next: int, temperature: float, seed: int
) -> str:
    """What follows a file, or a prompt."""
    from evornn.models.text import generate

    if file is not None and prompt is not None:
        raise EvornnError("give either a FILE or --prompt, which the text goes on from")
    return generate(model, (prompt or "") if file is None else read_text(model, file), next, temperature, seed)
