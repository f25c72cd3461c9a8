"""The next character, word or byte of a text of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from pydantic import ValidationInfo, field_validator

from evornn.arrays import Mask, Series
from evornn.data.options import ReadOptions
from evornn.data.preparation import Feature, OutputColumn, Preparation, Question
from evornn.data.symbols import SINGULAR, UNKNOWN, Codes, Unit, encode_text, read_symbols
from evornn.errors import EvornnError
from evornn.settings import settings
from evornn.tasks.core.chance import chance
from evornn.tasks.core.cutting import Cutter
from evornn.tasks.core.ngrams import ngram_losses
from evornn.tasks.core.own_data import Fractions
from evornn.tasks.core.task import Baseline, Data, Score, Sequences, Task

MIN_COUNTS = {"characters": 1, "words": 2, "bytes": 1}
ORDERS = {"characters": 4, "words": 3, "bytes": 4}
PORTION = 2**22  # logits that a score takes at a time


@settings
class Language(Task):
    """Predict the next symbol of a text file: its first part is for training, its last one is the test. Symbols are
    one-hot; the vocabulary is that of the training part, and everything else is unknown. Each part is cut into windows
    that overlap by `washout` steps, so that every symbol counts once, after at least that many others."""

    path: str
    unit: Unit = "characters"  # words are runs of letters and digits, and single other signs; spaces are left out
    encoding: str = "utf-8"
    lower: bool = False  # whether capital letters become small ones
    vocabulary: Annotated[int, Ge(2)] = 500  # at most so many symbols, the most frequent ones, and unknown
    min_count: Annotated[int, Ge(1)] | None = None  # symbols that are rarer are unknown; None: words need 2
    length: Annotated[int, Ge(2)] = 100  # steps of a window
    washout: Annotated[int, Ge(0)] | None = None  # None: a tenth of the length
    split: Fractions = (0.8, 0.1, 0.1)  # of the symbols: train, validation, test
    score: Literal["bits", "perplexity"] = "bits"  # bits: per character, word or byte

    causal: ClassVar[bool] = True
    question: ClassVar[Question] = "language"
    loss: ClassVar[str] = "cross_entropy"

    @field_validator("washout")
    @classmethod
    def _washout_below_length(cls, washout: int | None, info: ValidationInfo) -> int | None:
        if washout is not None and washout >= info.data.get("length", washout + 1):
            raise ValueError("leaves no step of a window to count: set it below length")
        return washout

    def data(self) -> Data:
        """I = O = the size of the vocabulary. Raises EvornnError that names the file and says what to do."""
        symbols = read_symbols(Path(self.path), self.unit, self.encoding, self.lower)
        ends = [round(share * len(symbols)) for share in np.cumsum(self.split)[:2]]
        names = make_vocabulary(symbols[: ends[0]], self.vocabulary, self.min_count or MIN_COUNTS[self.unit])
        text = encode_text(symbols, names)
        self._check_size(len(text), ends)
        parts = [self._cut(part, len(names)) for part in np.split(text, ends)]
        train, valid, test = parts
        floors = self._ngrams(text, len(names), ends)
        one = SINGULAR[self.unit]
        return Data(
            train,
            valid,
            test,
            loss=self.loss,
            baselines=(chance(self.loss, train, valid, test), *floors),
            labels=tuple(f"{name!r} is next, logit" for name in names),
            note=self._note(names, text, ends, floors),
            score=text_score(self.score, one),
            preparation=Preparation(
                self.question,
                (Feature(one, categories=names),),
                (OutputColumn(one, categories=names),),
                loss=self.loss,
                read=ReadOptions(encoding=self.encoding),
                lower=self.lower,
            ),
        )

    @property
    def washout_steps(self) -> int:
        """First steps of all windows but the first one of a part, which don't count."""
        return self.length // 10 if self.washout is None else self.washout

    def _cut(self, text: Codes, size: int) -> Sequences:
        """Windows of one part of the text."""
        washout, last = self.washout_steps, len(text) - 1  # targets are 1 … last
        begins = np.arange(0, max(last - washout, 1), self.length - washout)
        lengths = np.minimum(last - begins, self.length)
        skipped = np.where(begins > 0, washout, 0)
        counted: Mask = np.ones(last, np.bool_)
        cutter = Cutter(
            text[:-1], text[1:], counted, begins, lengths, self.length, skipped=skipped, widths=(size, size),
            is_categorical=True,
        )  # fmt: skip
        return cutter.sequences()

    def _ngrams(self, text: Codes, size: int, ends: Sequence[int]) -> tuple[Baseline, ...]:
        """Bigrams and longer ones, on the symbols that count: all but the first of each part."""
        order = ORDERS[self.unit]
        while size**order >= 2**62:  # codes of contexts are 64-bit numbers
            order -= 1
        losses = ngram_losses(text, size, ends, order)
        judged = [[float(part[1:].mean()) for part in np.split(loss, ends)[1:]] for loss in losses]
        names = ["unigram", "bigram", *(f"{n}-gram" for n in range(3, order + 1))]
        return tuple(Baseline(name, valid, test) for name, (valid, test) in list(zip(names, judged, strict=True))[1:])

    def _check_size(self, count: int, ends: Sequence[int]) -> None:
        parts = ("train", ends[0]), ("valid", ends[1] - ends[0]), ("test", count - ends[1])
        for name, symbols in parts:
            if symbols < 2:
                raise EvornnError(
                    f"{Path(self.path).name}: {symbols} {self.unit} are left for {name}: give a longer text, or "
                    "change the split"
                )

    def _note(self, names: Sequence[str], text: Codes, ends: Sequence[int], floors: Sequence[Baseline]) -> str:
        sizes = " / ".join(f"{len(part):,}" for part in np.split(text, ends))
        unknown = float((text[ends[1] :] == 0).mean())
        best = floors[-1]
        one = SINGULAR[self.unit]
        return (
            f"From {Path(self.path).name}: {sizes} {self.unit} for training, validation and test, in this order. The "
            f"network reads the current {one} and predicts the next one, of {len(names):,} ({names[0]} among them: "
            f"{100 * unknown:.2g} % of the test). On test, {best.name}: {best.test / np.log(2):.3f} bits per {one}. "
            "The baseline mean is the unigram."
        )


def make_vocabulary(training: Sequence[str], most: int, min_count: int) -> tuple[str, ...]:
    """`UNKNOWN`, then the most frequent symbols of the training part, in order of the alphabet.

    Args:
        training: its symbols.
        most: how many, besides `UNKNOWN`.
        min_count: how often each must occur.
    """
    counts = sorted(Counter(training).items(), key=lambda pair: (-pair[1], pair[0]))
    return (UNKNOWN, *sorted(name for name, count in counts[:most] if count >= min_count))


def text_score(name: Literal["bits", "perplexity"], unit: str) -> Score:
    """Bits per symbol, or e to the mean cross-entropy.

    Args:
        name: which.
        unit: what a symbol is called.
    """

    def compute(outputs: Series, split: Sequences) -> float:
        counted = np.argwhere(split.mask)
        size, total = max(1, PORTION // outputs.shape[2]), 0.0
        for begin in range(0, len(counted), size):
            rows, steps = counted[begin : begin + size].T
            logits = outputs[rows, steps].astype(np.float64)
            if not np.isfinite(logits).all():
                return float("nan")
            right = (logits * split.targets[rows, steps]).sum(axis=1)
            total += float((np.logaddexp.reduce(logits, axis=1) - right).sum())
        nats = total / len(counted)
        return nats / float(np.log(2)) if name == "bits" else float(np.exp(min(nats, 700.0)))

    label, best = (f"bits per {unit}", 0.0) if name == "bits" else ("perplexity", 1.0)
    return Score(label, compute, losses=("cross_entropy",), best=best)
