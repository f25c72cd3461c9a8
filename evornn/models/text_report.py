"""What a user wants to see before trusting a model of a text: how well it predicts one that it doesn't know, which
symbols and passages it doesn't expect, whether its probabilities hold, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles
from evornn.data.symbols import SINGULAR, UNKNOWN, Unit, join_symbols
from evornn.models.evaluate import Measures
from evornn.models.importance import OnProgress
from evornn.models.report import WORST, CalibrationBin, calibrate
from evornn.models.rows import portions
from evornn.models.text import (
    Surprise,
    TextReader,
    check_length,
    generate,
    measures_of,
    measures_on_test,
    text_preparation,
    unit_of,
)

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

PORTION = 10_000  # symbols that are read between two reports of progress
PASSAGE: dict[Unit, int] = {"characters": 20, "words": 6, "bytes": 20}  # symbols of a passage
CONTEXT = 2  # passages before it that are shown
STRETCHES = 100  # of a text, whose means are drawn
TEMPERATURES = (0.5, 1.0)
PROMPT = 3  # passages at the beginning of the text that are gone on from


@dataclass(frozen=True)
class SymbolKind:
    """How well symbols of one kind are predicted."""

    name: str
    count: int
    bits: float  # mean
    accuracy: float  # share of them that was most probable


@dataclass(frozen=True)
class Stretch:
    """Symbols that follow each other."""

    start: int  # number of the first one, from 1
    bits: float  # mean


@dataclass(frozen=True)
class Passage:
    """What the model did not expect."""

    start: int  # number of its first symbol, from 1
    before: str
    text: str
    bits: float  # mean


@dataclass(frozen=True)
class Continuation:
    """How the model goes on."""

    temperature: float
    prompt: str
    text: str


@dataclass(frozen=True)
class TextReport:
    """All of it."""

    source: str
    unit: Unit
    answers: int  # how many symbols are judged
    measures: Measures
    test: Measures  # on the model's own test split, as far as it is known
    kinds: list[SymbolKind]  # the most frequent first
    calibration: list[CalibrationBin]  # of the most probable symbols
    course: list[Stretch]
    worst: list[Passage]
    continuations: list[Continuation]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def report_text(
    model: SavedModel, symbols: Sequence[str], source: str, seed: int = 0, on_progress: OnProgress | None = None
) -> TextReport:
    """The report.

    Args:
        model: Of a text.
        symbols: Of the text, as `text.split` has them.
        source: What the text is called.
        seed: Of the continuations.
        on_progress: Is told what is computed.

    Raises:
        EvornnError: The model is not one of a text, or there are less than two symbols.
    """
    preparation = text_preparation(model)
    check_length(preparation, symbols)
    unit, read = unit_of(preparation), _read(model, symbols, on_progress).select(slice(1, None))
    return TextReport(
        source,
        unit,
        len(read.codes),
        measures_of(preparation, read),
        measures_on_test(model),
        _kinds(preparation, symbols[1:], read),
        calibrate(read.probability, read.likeliest == read.codes),
        _course(read.bits),
        _worst(unit, symbols, read.bits),
        _continuations(model, unit, symbols, seed),
    )


def _read(model: SavedModel, symbols: Sequence[str], on_progress: OnProgress | None) -> Surprise:
    reader, parts = TextReader(model), list[Surprise]()
    for part in portions(len(symbols), PORTION):
        parts.append(reader.read(symbols[part]))
        if on_progress is not None:
            on_progress("what it thinks of each symbol", reader.count / len(symbols))
    return Surprise(*(np.concatenate([getattr(one, name) for one in parts]) for name in Surprise.__dataclass_fields__))


def _kinds(preparation: Preparation, symbols: Sequence[str], read: Surprise) -> list[SymbolKind]:
    """Unknown symbols are a kind of their own: what they are, the model can't see."""
    name_of = KINDS[unit_of(preparation)]
    names = [name_of(one) if code else UNKNOWN for one, code in zip(symbols, read.codes.tolist(), strict=True)]
    known, places = np.unique(names, return_inverse=True)
    right = read.likeliest == read.codes
    found = [
        SymbolKind(str(name), int(own.sum()), float(read.bits[own].mean()), float(right[own].mean()))
        for name, own in ((name, places == k) for k, name in enumerate(known))
    ]
    return sorted(found, key=lambda one: -one.count)


def _of_character(one: str) -> str:
    if one == "\n":
        return "line breaks"
    if one.isspace():
        return "spaces"
    if one.isalpha():
        return "capital letters" if one.isupper() else "letters"
    return "digits" if one.isdigit() else "punctuation and signs"


def _of_word(one: str) -> str:
    if not any(letter.isalnum() for letter in one):
        return "punctuation and signs"
    if one[0].isdigit():
        return "numbers"
    return "short words (1 to 3 letters)" if len(one) < 4 else "longer words"


def _of_byte(one: str) -> str:
    return _of_character(chr(int(one))) if 32 <= int(one) < 127 or int(one) in (9, 10) else "other bytes"


KINDS: dict[Unit, Callable[[str], str]] = {"characters": _of_character, "words": _of_word, "bytes": _of_byte}


def _course(bits: Doubles) -> list[Stretch]:
    """From the second symbol on."""
    parts = np.array_split(np.arange(len(bits)), min(STRETCHES, len(bits)))
    return [Stretch(int(part[0]) + 2, float(bits[part].mean())) for part in parts]


def _worst(unit: Unit, symbols: Sequence[str], bits: Doubles) -> list[Passage]:
    """Passages of equal length side by side, those first that cost the most."""
    length = min(PASSAGE[unit], len(bits))
    means = bits[: len(bits) // length * length].reshape(-1, length).mean(axis=1)
    starts = [1 + int(k) * length for k in np.argsort(-means, kind="stable")[:WORST]]  # the first symbol has no bits
    return [
        Passage(
            start + 1,
            join_symbols(symbols[max(0, start - CONTEXT * length) : start], unit),
            join_symbols(symbols[start : start + length], unit),
            float(bits[start - 1 : start - 1 + length].mean()),
        )
        for start in starts
    ]


def _continuations(model: SavedModel, unit: Unit, symbols: Sequence[str], seed: int) -> list[Continuation]:
    prompt, count = symbols[: PROMPT * PASSAGE[unit]], 10 * PASSAGE[unit]
    if len(text_preparation(model).features[0].categories) < 2:  # nothing to draw from
        return []
    said = join_symbols(prompt, unit)
    return [Continuation(t, said, generate(model, prompt, count, t, seed)) for t in TEMPERATURES]


def what_is_one(report: TextReport) -> str:
    """A symbol, in the singular."""
    return SINGULAR[report.unit]
