"""Arithmetic (Jozefowicz, Zaremba & Sutskever 2015, section 3.1): read a sum or a difference character by character,
among letters that mean nothing, then answer its value digit by digit."""

from __future__ import annotations

from string import ascii_lowercase, digits
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, Generated, SplitName, one_hot
from evornn.tasks.core.task import Score

INPUT_SYMBOLS = digits + "+-=" + ascii_lowercase
OUTPUT_SYMBOLS = digits + "-."  # the point ends the answer


@settings
class Arithmetic(Generated):
    """`3e36d9-h1h39f4=1975.`: two numbers of 1 … `digits` digits, the first one positive or negative, are added or
    subtracted. From = on, each character of the value is to be predicted from the ones before it. The score is the
    share of right characters. The paper has up to 8 digits and does not state the number of distractors."""

    train: Annotated[int, Ge(1)] = 10_000
    digits: Annotated[int, Ge(1), Le(8)] = 3
    distractors: Annotated[int, Ge(0)] = 1  # letters after each character of the question, at most

    loss: ClassVar[str] = "cross_entropy"
    paper: ClassVar[str] = "Arithmetic (after Jozefowicz, Zaremba & Sutskever 2015)"

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = 39: ten digits, + − = and 26 letters; O = 12: ten digits, − and the end."""
        question, answer = self._question(rng)
        text = "".join(character + self._letters(rng) for character in question) + "=" + answer
        targets = np.zeros((len(text), len(OUTPUT_SYMBOLS)), np.float32)
        targets[-len(answer) - 1 :] = one_hot(
            [OUTPUT_SYMBOLS.index(character) for character in f"{answer}."], len(OUTPUT_SYMBOLS)
        )
        return Example(
            one_hot([INPUT_SYMBOLS.index(character) for character in text], len(INPUT_SYMBOLS)),
            targets,
            len(answer) + 1,
        )

    def labels(self) -> tuple[str, ...]:
        return tuple(f"{character} comes next, logit" for character in OUTPUT_SYMBOLS)

    def score(self) -> Score:
        return scores.step_accuracy("characters", scores.argmax_matches)

    def _question(self, rng: np.random.Generator) -> tuple[str, str]:
        """An expression and its value."""
        first, second = (int(rng.integers(10 ** rng.integers(1, self.digits + 1))) for _ in range(2))
        first *= (1, -1)[rng.integers(2)]
        plus = bool(rng.integers(2))
        return f"{first}{'-+'[plus]}{second}", str(first + second if plus else first - second)

    def _letters(self, rng: np.random.Generator) -> str:
        return "".join(ascii_lowercase[k] for k in rng.integers(26, size=rng.integers(self.distractors + 1)))
