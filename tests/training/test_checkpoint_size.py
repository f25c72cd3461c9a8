"""How large a checkpoint may be, and what is known of that before a run starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_specs import small_spec
from sphere_oracle import SphereOracle, run
from trainer_specs import build_small

from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import parse_spec, plan
from evornn.trainers import TRAINERS
from evornn.training import records
from evornn.training.check import check_checkpoint, checkpoint_bytes
from evornn.training.records import MAX_CHECKPOINT, Checkpoint
from evornn.training.state import split

LARGE = {"name": "large", "tasks": [{"kind": "adding"}], "networks": [{"kind": "elman", "units": 130}], "seeds": 1}


@pytest.mark.parametrize("kind", TRAINERS)
@pytest.mark.parametrize("n", [40, 400])
def test_a_state_is_never_smaller_than_was_estimated(kind: str, n: int) -> None:
    """Nor much larger where it holds matrices or populations."""
    trainer = build_small(kind)
    arrays, _ = split(run(trainer, 12, SphereOracle(n=n)))  # enough for both trainers of a sequence
    size, estimate = sum(array.nbytes for array in arrays.values()), checkpoint_bytes(trainer, n)
    assert estimate <= size
    assert trainer.solves_readout or size <= 20 * n * 4 + 7 * estimate, "see Trainer.stored_populations"


@pytest.mark.parametrize(
    ("trainer", "fits", "advice"),
    [
        ({"kind": "cma_es"}, False, "set covariance: separable or limited_memory"),
        ({"kind": "cma_es", "covariance": "separable"}, True, ""),
        ({"kind": "xnes"}, False, "use snes"),
        ({"kind": "islands", "trainer": [{"kind": "snes"}, {"kind": "cma_es"}]}, False, "use a smaller network"),
        ({"kind": "memetic", "evolve": {"kind": "cma_es"}, "refine": {"kind": "adam"}}, False, "use a smaller network"),
        ({"kind": "adam"}, True, ""),
        ({"kind": "genetic_algorithm", "population": 25_000}, False, "use a smaller network or population"),
        ({"kind": "pycma"}, True, ""),  # whose state is its log of losses
    ],
)
def test_a_state_that_no_store_takes_is_refused_before_it_starts(
    trainer: dict[str, Any], fits: bool, advice: str
) -> None:
    built = TRAINERS.build(trainer)
    if fits:
        check_checkpoint(built, 26_241)
    else:
        with pytest.raises(EvornnError, match=rf"a checkpoint of [\d.]+ GB, which is over the limit.*: {advice}"):
            check_checkpoint(built, 26_241)


def test_a_spec_with_such_a_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_CHECKPOINT", 2**28)  # or another test would refuse it first: that of memory
    spec = {**LARGE, "trainers": [{"kind": "cma_es"}], "budget": {"steps": 1000}}
    with pytest.raises(EvornnError, match=r"a checkpoint of 1\.21 GB, which is over the limit of 0\.27 GB: set covar"):
        check_plans(plan(parse_spec(spec)))


def test_a_checkpoint_knows_whether_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (Checkpoint(1, {"C": np.zeros(size, np.uint8)}, {}) for size in (1000, 1001))
    monkeypatch.setattr(records, "MAX_CHECKPOINT", 1000)
    small.check()
    with pytest.raises(EvornnError, match="over the limit"):
        large.check()


def test_matrices_of_the_usual_sizes_are_taken() -> None:
    check_checkpoint(TRAINERS.build(small_spec(TRAINERS, "cma_es")), 23_000)
    assert 4 * 23_000**2 < MAX_CHECKPOINT < 4 * 23_500**2
