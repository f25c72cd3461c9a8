"""Array types, named by their shapes, and random streams that all derive from one seed.

P population, n parameters, B batch (sequences), T time, I inputs, H units, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Genome: TypeAlias = NDArray[np.float32]  # [n] the parameters of one network
Genomes: TypeAlias = NDArray[np.float32]  # [P, n]
Losses: TypeAlias = NDArray[np.float32]  # [P]
Series: TypeAlias = NDArray[np.float32]  # [B, T, I] or [B, T, O]
Mask: TypeAlias = NDArray[np.bool_]  # [B, T]
Batch: TypeAlias = NDArray[np.int64]  # indices of training sequences


@dataclass(frozen=True)
class Streams:
    """Random streams named by (seed, purpose, step). A stream has no state: asked twice, it gives the same numbers.

    >>> Streams(7, "guess").at(3).random() == Streams(7, "guess").at(3).random()
    True
    """

    seed: int
    purpose: str = ""

    def child(self, name: str) -> Streams:
        """The streams of a part, such as the trainer inside a hybrid."""
        return Streams(self.seed, f"{self.purpose}/{name}")

    def at(self, step: int) -> np.random.Generator:
        """A generator for one step, always from its beginning."""
        return np.random.Generator(np.random.PCG64(self._sequence(step)))

    def integer(self, step: int) -> int:
        """A 31-bit seed for one step, for libraries that want a number."""
        return int(self._sequence(step).generate_state(1)[0] >> 1)

    def _sequence(self, step: int) -> np.random.SeedSequence:
        name = int.from_bytes(blake2b(self.purpose.encode(), digest_size=8).digest(), "big")
        return np.random.SeedSequence([self.seed, name, step])
