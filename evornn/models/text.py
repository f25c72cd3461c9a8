"""Models of a text: how probable each of its symbols is, and texts that go on as the model thinks they would.

A text is read from left to right. The network's state is carried along, from the first symbol to the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import log_softmax

from evornn.arrays import Streams
from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles
from evornn.data.symbols import SINGULAR, UNKNOWN, Codes, Unit, encode_text, join_symbols, split_text
from evornn.data.table import Column, Table
from evornn.errors import EvornnError, short_repr
from evornn.layout import Layout
from evornn.models.numpy_step import NumpyStep
from evornn.models.rows import portions
from evornn.models.step import flat_states

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

NUMBERS = 2**22  # logits of one call of the network: 16 MiB
BLOCKS = 20  # of a text, for the interval of its mean: neighbouring symbols are alike
BITS = float(np.log(2))  # nats
STARTS: dict[Unit, str] = {"characters": "\n", "words": ".", "bytes": "10"}  # what is before a text without a prompt


@dataclass(frozen=True)
class Surprise:
    """What a model thought of N symbols, each before it was read. Nothing of the first one of a text: NaN, −1."""

    codes: Codes  # [N] the symbols
    bits: Doubles  # [N] −log₂ of their probability
    likeliest: Codes  # [N] the most probable symbol
    probability: Doubles  # [N] of that

    def select(self, part: slice) -> Surprise:
        """Some of them."""
        return Surprise(self.codes[part], self.bits[part], self.likeliest[part], self.probability[part])


class TextReader:
    """Reads a text part by part.

    Args:
        model: Of a text.
    """

    def __init__(self, model: SavedModel) -> None:
        self.model, self.preparation = model, text_preparation(model)
        self.vocabulary = self.preparation.features[0].categories
        self.count = 0  # symbols that were read
        self.logits: NDArray[Any] = np.full(len(self.vocabulary), np.nan)  # [V] of the next symbol
        self._state: Any = None

    def read(self, symbols: Sequence[str]) -> Surprise:
        """The next symbols; unknown ones are `UNKNOWN`, as in training."""
        codes, size = encode_text(symbols, self.vocabulary), max(1, NUMBERS // len(self.vocabulary))
        parts = [self._read(codes[part]) for part in portions(len(codes), size)]
        if not parts:
            return Surprise(codes, np.zeros(0), codes, np.zeros(0))
        bits, probability = (np.concatenate([getattr(one, name) for one in parts]) for name in ("bits", "probability"))
        return Surprise(codes, bits, np.concatenate([one.likeliest for one in parts]), probability)

    def table(self, symbols: Sequence[str]) -> Table:
        """`read` as columns: number, symbol, its bits, and what was most probable instead."""
        before, read = self.count, self.read(symbols)
        numbers = np.arange(before + 1.0, self.count + 1)
        return Table(
            (
                Column("row", "number", numbers),
                Column(self.preparation.features[0].column, "category", read.codes, self.vocabulary),
                Column("bits", "number", read.bits),
                Column("likeliest", "category", read.likeliest, self.vocabulary),
                Column("probability", "number", read.probability),
            ),
            "the text",
        )

    def stepper(self) -> Callable[[int], NDArray[Any]]:
        """From here on symbol by symbol: a symbol → the logits [V] of the next one, after all that was read."""
        if isinstance(self.model.network.layout, Layout):
            return self._numpy_stepper(self.model.network.layout)
        return self._step

    def _numpy_stepper(self, layout: Layout) -> Callable[[int], NDArray[Any]]:
        program, row = NumpyStep(layout, self.model.genome), np.zeros(layout.inputs, np.float32)
        if self._state is not None:
            for name, values in flat_states(layout, self._state).items():
                program.states[name][:] = values[0]

        def step(code: int) -> NDArray[Any]:
            row[:] = 0.0
            row[code] = 1.0
            return program.step(row)

        return step

    def _step(self, code: int) -> NDArray[Any]:
        self._read(np.array([code]))
        return self.logits

    def _read(self, codes: Codes) -> Surprise:
        genome, x = self.model.genome[None], torch.as_tensor(codes)[None]
        outputs, self._state = self.model.network.predict(genome, x, state=self._state, return_state=True)
        logits = np.vstack([self.logits, outputs[0, 0]]).astype(np.float64)  # [N + 1, V]
        self.logits, self.count = logits[-1], self.count + len(codes)
        scores = log_softmax(logits[:-1], axis=1)
        likeliest = np.where(np.isnan(scores[:, 0]), -1, scores.argmax(axis=1))
        own = scores[np.arange(len(codes)), codes]
        return Surprise(codes, -own / BITS, likeliest, np.exp(scores.max(axis=1)))


def text_preparation(model: SavedModel) -> Preparation:
    """The preparation of a model of a text. Raises EvornnError for other models."""
    if model.preparation is None or model.preparation.question != "language":
        raise EvornnError("the model is not one of a text: give a table with its columns")
    return model.preparation


def unit_of(preparation: Preparation) -> Unit:
    """What the symbols of a text are."""
    return next(unit for unit, one in SINGULAR.items() if one == preparation.features[0].column)


def split(preparation: Preparation, text: str | bytes) -> list[str]:
    """The symbols of a text, as training had them. Raises EvornnError for bytes that are no text."""
    try:
        return split_text(text, unit_of(preparation), preparation.read.encoding or "utf-8", preparation.lower)
    except ValueError as error:
        raise EvornnError(f"the text can't be read ({error}): give it in {preparation.read.encoding}") from None


def predict_text(model: SavedModel, text: str | bytes) -> Table:
    """See `StandaloneModel.predict`."""
    return TextReader(model).table(split(text_preparation(model), text))


def evaluate_text(model: SavedModel, symbols: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """See `StandaloneModel.evaluate`. Raises EvornnError for a text of less than two symbols."""
    preparation = text_preparation(model)
    check_length(preparation, symbols)
    return measures_of(preparation, TextReader(model).read(symbols).select(slice(1, None)))


def check_length(preparation: Preparation, symbols: Sequence[str]) -> None:
    """Raises EvornnError for a text of less than two symbols."""
    if len(symbols) < 2:
        raise EvornnError(f"the text has {len(symbols)} {unit_of(preparation)}: give at least 2")


def measures_of(preparation: Preparation, read: Surprise) -> dict[str, dict[str, float | None]]:
    """Measures of what a model thought of symbols, all of which had others before them."""
    bits = float(read.bits.mean())
    low, high = _interval(read.bits)
    return {
        preparation.features[0].column: {
            **of_loss(bits * BITS),
            "bits_low": low,
            "bits_high": high,
            "accuracy": float((read.likeliest == read.codes).mean()),
            "unknown": float((read.codes == 0).mean()),
        }
    }


def of_loss(loss: float) -> dict[str, float | None]:
    """The same cross-entropy in nats, in bits, and as perplexity."""
    return {"cross_entropy": loss, "bits": loss / BITS, "perplexity": float(np.exp(min(loss, 700.0)))}


def measures_on_test(model: SavedModel) -> dict[str, dict[str, float | None]]:
    """What is known of the test split, of windows with few symbols before those that count."""
    metrics = model.metrics
    if metrics.test_loss is None or metrics.loss != "cross_entropy":
        return {}
    return {text_preparation(model).features[0].column: of_loss(metrics.test_loss)}


def _interval(values: Doubles) -> tuple[float | None, float | None]:
    """95 % interval of a mean, from the means of blocks; None for a text that is too short for blocks of two."""
    if len(values) < 2 * BLOCKS:
        return None, None
    means = np.array([block.mean() for block in np.array_split(values, BLOCKS)])
    half = float(stats.t.ppf(0.975, BLOCKS - 1) * stats.sem(means))
    return float(values.mean()) - half, float(values.mean()) + half


def generate(model: SavedModel, prompt: str | bytes | Sequence[str], next: int, temperature: float, seed: int) -> str:
    """See `StandaloneModel.generate`."""
    preparation = text_preparation(model)
    unit, vocabulary = unit_of(preparation), preparation.features[0].categories
    _check(vocabulary, next, temperature, seed)
    symbols = split(preparation, prompt) if isinstance(prompt, str | bytes) else prompt
    reader, rng = TextReader(model), Streams(seed, "text").at(0)
    reader.read(symbols or [STARTS[unit]])
    step, logits, made = reader.stepper(), reader.logits, list[str]()
    for _ in repeat(None, next):
        code = _choose(logits, temperature, rng)
        made.append(vocabulary[code])
        logits = step(code)
    return join_symbols(made, unit)


def _check(vocabulary: Sequence[str], next: int, temperature: float, seed: int) -> None:
    if next < 1:
        raise EvornnError(f"next: must be at least 1, got {next}")
    if not 0 <= temperature < np.inf:
        raise EvornnError(f"temperature: must be 0 (always the most probable symbol) or more, got {temperature:g}")
    if seed < 0:
        raise EvornnError(f"seed: must be at least 0, got {seed}")
    if len(vocabulary) < 2:
        raise EvornnError(f"the vocabulary has nothing but {UNKNOWN}: train on a longer text, or lower min_count")


def _choose(logits: NDArray[Any], temperature: float, rng: np.random.Generator) -> int:
    """One of the known symbols: softmax(logits / temperature)."""
    scores = np.asarray(logits[1:], np.float64)  # never UNKNOWN, which is no text
    if not np.isfinite(scores).all():
        raise EvornnError(f"the network's outputs are no numbers ({short_repr(float(scores[0]))}): train it again")
    if temperature == 0:
        return 1 + int(scores.argmax())
    shares = np.cumsum(np.exp((scores - scores.max()) / temperature))
    return 1 + int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
