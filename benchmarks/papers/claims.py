"""What a paper says about the order of its lines, where our task is not the paper's and numbers can't be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.papers.figures import scores
from evornn.experiments.analysis.statistics import holm, rank_sum
from evornn.store.records import StoredRun

ALPHA = 0.05


@dataclass(frozen=True)
class Claim:
    """The scores of one line are higher than those of another, by more than `by`."""

    higher: str  # a line's name
    lower: str
    by: float = 0.0


@dataclass(frozen=True)
class ClaimResult:
    """A claim, tested on our runs."""

    claim: Claim
    p: float  # Mann–Whitney, two-sided, corrected by Holm over the claims of the section
    verdict: str


def evaluate_claims(claims: Sequence[Claim], runs: Mapping[str, Sequence[StoredRun]]) -> list[ClaimResult]:
    """The claims whose two lines have run: `runs` are those of each line by its name.

    `reproduced` is a significant difference in the order of the claim, `not reproduced` one in the other order, `open`
    none."""
    testable = [claim for claim in claims if runs.get(claim.higher) and runs.get(claim.lower)]
    tested = [rank_sum(-scores(runs[c.higher]), -(scores(runs[c.lower]) + c.by)) for c in testable]
    corrected = holm(np.array([p for p, _ in tested]))
    return [
        ClaimResult(claim, float(p), _verdict(float(p), lower))
        for claim, p, (_, lower) in zip(testable, corrected, tested, strict=True)
    ]


def _verdict(p: float, lower: int) -> str:
    """`lower`: -1 where the negative scores of the line that is to be higher are the lower ones."""
    if p >= ALPHA:
        return "open"
    return "reproduced" if lower < 0 else "not reproduced"
