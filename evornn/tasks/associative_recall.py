"""Associative recall (Graves, Wayne & Danihelka 2014, section 4.3): after a list of items, one of them is shown again;
answer the item that followed it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from evornn.settings import settings
from evornn.tasks.core import scores
from evornn.tasks.core.generated import Example, LengthGeneralisation, SplitName
from evornn.tasks.core.task import Score


@settings
class AssociativeRecall(LengthGeneralisation):
    """2 … `length` different items, each of `vectors` vectors of `width` bits after a delimiter; then one of them, not
    the last, between two query marks."""

    length: Annotated[int, Ge(2)] = 6  # items
    test_length: Annotated[int, Ge(3)] = 12
    vectors: Annotated[int, Ge(1)] = 3
    width: Annotated[int, Ge(1)] = 6

    causal: ClassVar[bool] = False
    paper: ClassVar[str] = "Associative recall (Graves, Wayne & Danihelka 2014)"

    @field_validator("width")
    @classmethod
    def _items_differ(cls, width: int, info: ValidationInfo) -> int:
        if 2 ** (width * info.data.get("vectors", 1)) < 2 * info.data.get("test_length", 1):
            raise ValueError("too few bits for that many different items: raise width or vectors")
        return width

    def example(self, split: SplitName, rng: np.random.Generator) -> Example:
        """I = width + 2 (delimiter, query mark), O = width."""
        items = self._items(self.draw_length(split, rng, minimum=2), rng)
        query_index = int(rng.integers(len(items) - 1))
        delimiter, query = np.eye(self.width + 2, dtype=np.float32)[-2:, None]
        bits = np.zeros((len(items), self.vectors, self.width + 2), np.float32)
        bits[..., :-2] = items
        parts = [part for item in bits for part in (delimiter, item)] + [query, bits[query_index], query]
        inputs = np.concatenate([*parts, np.zeros_like(bits[0])])
        targets = np.zeros((len(inputs), self.width), np.float32)
        targets[-self.vectors :] = items[query_index + 1]
        return Example(inputs, targets, self.vectors)

    def labels(self) -> tuple[str, ...]:
        return tuple(f"bit {k + 1}, logit" for k in range(self.width))

    def score(self) -> Score:
        return scores.binary_accuracy("sequences")

    def _items(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """[count, vectors, width] different items."""
        items: list[NDArray[np.int64]] = []
        while len(items) < count:
            item = rng.integers(0, 2, (self.vectors, self.width))
            if not any(np.array_equal(item, other) for other in items):
                items.append(item)
        return np.stack(items)
