"""Every network of the catalog on the SIMD kernels: a file of its own, so that two cores share the compiling."""

from __future__ import annotations

import pytest
from test_simd import Case

from evornn.networks import CELLS

LAYERED = "recurrent_multilayer_perceptron"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(name for name in CELLS if name != LAYERED), "Scaled"])
def test_losses_and_gradients_agree_with_the_reference(name: str) -> None:
    case = Case(name, initial_state="learned")
    for loss in ("mse", "cross_entropy", "binary_cross_entropy"):
        case.check_gradients(loss)


def test_layers_of_elman_have_elmans_kernel() -> None:
    """So that one compilation is spared above."""
    assert CELLS[LAYERED].step is CELLS["elman"].step and CELLS[LAYERED].output is CELLS["elman"].output
