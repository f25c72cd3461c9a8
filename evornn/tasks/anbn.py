"""a^n b^n and a^n b^n c^n (Gers & Schmidhuber 2001): predict which symbols may come next, for longer strings than those
trained on. The first language needs one counter, the second two."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from pydantic import ValidationInfo, field_validator

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, make_data, one_hot, pad_sequences
from evornn.tasks.core.task import Data, Sequences, Task


@settings
class ANBN(Task):
    """Read S aⁿ bⁿ and answer after each symbol which of a, b, T (the end) are legal next. There is one string for each
    n: 1 … `n` for training, up to `valid_n` for validation, up to `test_n` for the test."""

    letters: Literal[2, 3] = 2  # 3 for aⁿ bⁿ cⁿ
    n: Annotated[int, Ge(1)] = 10
    valid_n: Annotated[int, Ge(2)] = 15
    test_n: Annotated[int, Ge(3)] = 50

    causal: ClassVar[bool] = True

    @field_validator("valid_n", "test_n")
    @classmethod
    def _each_goes_further(cls, value: int, info: ValidationInfo) -> int:
        before = "n" if info.field_name == "valid_n" else "valid_n"
        if value <= info.data.get(before, 0):
            raise ValueError(f"leaves no string: set it above {before}")
        return value

    def data(self) -> Data:
        """I = O = `letters` + 1: S and the letters in, the letters and T out."""
        word = " ".join(f"{letter}^n" for letter in "abc"[: self.letters])
        return make_data(
            self._strings(1, self.n),
            self._strings(self.n + 1, self.valid_n),
            self._strings(self.valid_n + 1, self.test_n),
            loss="binary_cross_entropy",
            labels=tuple(f"{symbol} may follow, logit" for symbol in [*"abc"[: self.letters], "T"]),
            note=f"The language {word} (Gers & Schmidhuber 2001), every string up to n = {self.test_n}.",
            score=scores.binary_accuracy("strings"),
        )

    def _strings(self, first: int, last: int) -> Sequences:
        return pad_sequences([string(n, self.letters) for n in range(first, last + 1)])


def string(n: int, letters: int) -> Example:
    """The string of n, T = 1 + n × letters. After S comes a; after an a, a or b; from then on the number of a's
    decides."""
    symbols = np.repeat(np.arange(letters + 1), [1, *[n] * letters])  # 0 is S
    legal = one_hot([*symbols[1:] - 1, letters], letters + 1)  # the symbol that does come
    legal[1 : n + 1, :2] = 1.0
    return Example(one_hot(symbols, letters + 1), legal, len(symbols))
