"""Tomita's seven grammars (Tomita 1982): is a string of 0s and 1s in the language? Trained on strings of up to ten
symbols, tested on longer ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Annotated, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge, Le
from pydantic import ValidationInfo, field_validator

from evornn.arrays import Streams
from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import TRIES, Example, make_data, one_hot, pad_sequences
from evornn.tasks.core.task import Data, Sequences, Task

Bits: TypeAlias = tuple[int, ...]
Automaton: TypeAlias = tuple[str, tuple[tuple[int, int], ...], frozenset[int]]

# Per language: its description; state → its successors on 0 and on 1, from state 0; the accepting states.
LANGUAGES: dict[int, Automaton] = {
    1: ("1*", ((1, 0), (1, 1)), frozenset({0})),
    2: ("(1 0)*", ((2, 1), (0, 2), (2, 2)), frozenset({0})),
    3: (
        "no odd run of 0s anywhere after an odd run of 1s",
        ((0, 1), (2, 0), (3, 4), (2, 3), (4, 4)),  # 1: after an odd run of 1s; 2, 3: then an odd or even run of 0s
        frozenset({0, 1, 3}),
    ),
    4: ("no 0 0 0", ((1, 0), (2, 0), (3, 0), (3, 3)), frozenset({0, 1, 2})),
    5: ("even numbers of 0s and of 1s", ((2, 1), (3, 0), (0, 3), (1, 2)), frozenset({0})),
    6: ("as many 0s as 1s, modulo 3", ((1, 2), (2, 0), (0, 1)), frozenset({0})),
    7: ("0* 1* 0* 1*", ((0, 1), (2, 1), (2, 3), (4, 3), (4, 4)), frozenset({0, 1, 2, 3})),
}


@settings
class Tomita(Task):
    """An end symbol asks for the answer. Training and validation share the strings of 0 … `length` symbols; the test
    has all strings of length + 1 … `test_length` and `long_strings` strings of `long_length`. Members and non-members
    are balanced where the language has enough of them; half of the long non-members are one symbol away from a member.
    """

    language: Annotated[int, Ge(1), Le(7)] = 1
    train: Annotated[int, Ge(2)] = 1000  # at most: some languages have few short strings
    valid: Annotated[int, Ge(2)] = 500
    length: Annotated[int, Ge(2), Le(14)] = 10
    test_length: Annotated[int, Ge(3), Le(18)] = 15
    long_length: Annotated[int, Ge(20)] = 50
    long_strings: Annotated[int, Ge(1)] = 1000
    data_seed: Annotated[int, Ge(0)] = 0

    causal: ClassVar[bool] = False

    @field_validator("test_length")
    @classmethod
    def _test_is_longer(cls, test_length: int, info: ValidationInfo) -> int:
        if test_length <= info.data.get("length", 0):
            raise ValueError("test strings are longer than those to train on: set it above length")
        return test_length

    def data(self) -> Data:
        """I = 3 (0, 1, end), O = 1; T is one more than the longest string of a split."""
        streams = Streams(self.data_seed, "tomita")
        train, valid = self._draw_short(streams.child("short").at(0))
        test = list(strings(range(self.length + 1, self.test_length + 1)))
        test += self._draw_long(streams.child("long").at(0))
        return make_data(
            *(self._make_sequences(split) for split in (train, valid, test)),
            loss="binary_cross_entropy",
            labels=(f"in the language {LANGUAGES[self.language][0]}, logit",),
            note=f"Tomita's grammar {self.language} (Tomita 1982): {LANGUAGES[self.language][0]}, "
            f"drawn with data_seed {self.data_seed}.",
            score=scores.binary_accuracy("strings"),
        )

    def _make_sequences(self, split: Sequence[Bits]) -> Sequences:
        return pad_sequences([_example(bits, accepts(self.language, bits)) for bits in split])

    def _draw_short(self, rng: np.random.Generator) -> tuple[list[Bits], list[Bits]]:
        """Two disjoint sets, half in the language and half not; where strings are too few, they are shared in
        proportion."""
        every = list(strings(range(self.length + 1)))
        halves = (self.train // 2, self.valid // 2)
        train: list[Bits] = []
        valid: list[Bits] = []
        for kind in (True, False):
            matches = [bits for bits in every if accepts(self.language, bits) == kind]
            matches = [matches[k] for k in rng.permutation(len(matches))]
            share = min(1.0, len(matches) / sum(halves))
            first, more = (max(1, int(share * half)) for half in halves)
            train += matches[:first]
            valid += matches[first : first + more]
        return train, valid

    def _draw_long(self, rng: np.random.Generator) -> list[Bits]:
        half = self.long_strings // 2
        inside = _gather(lambda: walk(self.language, self.long_length, rng), half)
        near = _gather(lambda: self._draw_near_miss(rng), half // 2)
        rest = self.long_strings - len(inside) - len(near)
        far = _gather(lambda: self._if_rejected(_bits(rng.integers(0, 2, self.long_length))), rest, near)
        return [*inside, *near, *far]

    def _draw_near_miss(self, rng: np.random.Generator) -> Bits | None:
        """A long string of the language with one symbol changed, if that puts it outside."""
        bits = walk(self.language, self.long_length, rng)
        if bits is None:
            return None
        place = rng.integers(len(bits))
        return self._if_rejected((*bits[:place], 1 - bits[place], *bits[place + 1 :]))

    def _if_rejected(self, bits: Bits) -> Bits | None:
        return None if accepts(self.language, bits) else bits


def accepts(language: int, bits: Bits) -> bool:
    """Whether a string is in Tomita's language."""
    _, steps, accepting = LANGUAGES[language]
    state = 0
    for bit in bits:
        state = steps[state][bit]
    return state in accepting


def strings(lengths: range) -> Iterator[Bits]:
    """All strings of these lengths."""
    for length in lengths:
        yield from product((0, 1), repeat=length)


def walk(language: int, length: int, rng: np.random.Generator) -> Bits | None:
    """A random string of the language; all of that length are equally likely.

    Args:
        language: 1 … 7.
        length: symbols.
        rng: draws it.

    Returns:
        The string, or None where the language has none of that length.
    """
    steps, counts, state = LANGUAGES[language][1], _path_counts(language, length), 0
    if not counts[length][0]:
        return None
    bits = []
    for left in range(length, 0, -1):
        # 0 with the share of accepted completions that begin with it
        bits.append(int(rng.random() >= counts[left - 1][steps[state][0]] / counts[left][state]))
        state = steps[state][bits[-1]]
    return tuple(bits)


@lru_cache
def _path_counts(language: int, length: int) -> list[list[int]]:
    """[length + 1, states] how many strings of each length lead from a state to an accepting one."""
    _, steps, accepting = LANGUAGES[language]
    counts = [[int(state in accepting) for state in range(len(steps))]]
    for _ in range(length):
        counts.append([sum(counts[-1][state] for state in ahead) for ahead in steps])
    return counts


def _gather(draw: Callable[[], Bits | None], count: int, excluded: Collection[Bits] = ()) -> list[Bits]:
    """`count` different strings that are not `excluded`, or fewer if draws stop bringing new ones."""
    unique: dict[Bits, None] = {}
    idle = 0
    while len(unique) < count and idle < TRIES:
        bits = draw()
        idle = idle + 1 if bits is None or bits in unique or bits in excluded else 0
        if idle == 0 and bits is not None:
            unique[bits] = None
    return list(unique)


def _bits(values: Iterable[int]) -> Bits:
    return tuple(int(value) for value in values)


def _example(bits: Bits, inside: bool) -> Example:
    return Example(one_hot([*bits, 2], 3), np.full((len(bits) + 1, 1), inside, np.float32), 1)
