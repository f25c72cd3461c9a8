"""The choice of a kernel: SIMD lanes on the CPU where the equation can be interpreted, else the torch reference."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from evornn.errors import EvornnError
from evornn.kernels.closed_loop import ClosedLoop
from evornn.kernels.evaluate import Evaluator
from evornn.layout import BaseLayout, Layout
from evornn.plant import PlantTrace

if TYPE_CHECKING:
    from evornn.kernels.simd.runtime.control import SimdClosedLoop
    from evornn.kernels.simd.runtime.evaluator import SimdEvaluator

Backend: TypeAlias = Literal["auto", "simd", "torch"]
log = logging.getLogger("evornn.kernels")


def evaluator(
    layout: BaseLayout, threads: int, backend: Backend, device: torch.device, dtype: torch.dtype
) -> Evaluator | SimdEvaluator:
    """The evaluator of a network.

    `auto` takes SIMD on the CPU in float32 for every equation that it knows, and logs the reason where it does not.

    Args:
        layout: the network.
        threads: CPU threads that share a population.
        backend: auto, simd or torch.
        device: where to compute.
        dtype: float32 or float64.

    Raises:
        EvornnError: `simd` is requested and impossible.
    """
    if backend == "torch":
        return Evaluator(layout, threads)
    reason = _unsupported_reason(layout, device, dtype)
    if reason is None and isinstance(layout, Layout):
        from evornn.kernels.simd.programs.equation import UnsupportedEquation
        from evornn.kernels.simd.runtime.evaluator import SimdEvaluator

        try:
            return SimdEvaluator(layout, threads)
        except UnsupportedEquation as error:
            reason = f"{type(layout.cell).__name__} uses {error}"
            log.warning("%s, which the SIMD kernels don't know: it runs on torch, which is slower", reason)
    if backend == "simd":
        raise EvornnError(f"no SIMD kernel for this network, since {reason}: set network.backend to auto or torch")
    return Evaluator(layout, threads)


def closed_loop(evaluator: Evaluator | SimdEvaluator, plant: PlantTrace) -> ClosedLoop | SimdClosedLoop:
    """The loop in which an evaluator's network controls a plant, by the same kind of kernel.

    Raises EvornnError for a network that is not made of cells, and for a plant whose equations the SIMD kernels don't
    know.
    """
    layout = evaluator.layout
    if not isinstance(layout, Layout):
        raise EvornnError("only a network made of cells can control a plant: take elman, lstm, gru or another cell")
    if evaluator.name == "torch":
        return ClosedLoop(layout, plant)
    from evornn.kernels.simd.programs.equation import UnsupportedEquation
    from evornn.kernels.simd.runtime.control import SimdClosedLoop

    try:
        return SimdClosedLoop(layout, plant, evaluator.threads)
    except UnsupportedEquation as error:
        name = type(plant.plant).__name__
        raise EvornnError(f"no SIMD kernel for {name}, which uses {error}: set backend to torch") from None


def _unsupported_reason(layout: BaseLayout, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why a network can't run on SIMD; None: it can."""
    if not isinstance(layout, Layout):
        return "it is written in torch, not a cell"
    if device.type != "cpu":
        return f"it is computed on {device}"
    return None if dtype == torch.float32 else f"its numbers are {str(dtype).removeprefix('torch.')}"
