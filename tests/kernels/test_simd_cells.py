"""Every network of the catalog on the SIMD kernels."""

from __future__ import annotations

import pytest
from simd_cases import Case

from evornn.networks import CELLS


@pytest.mark.parametrize("name", [*CELLS, "Scaled"])
def test_losses_and_gradients_agree_with_the_reference(name: str) -> None:
    case = Case(name, initial_state="learned")
    for loss in ("mse", "cross_entropy", "binary_cross_entropy"):
        case.check_gradients(loss)
