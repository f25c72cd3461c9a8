"""Which kernel evaluates a network: SIMD lanes on the CPU where the equation can be fused, else the torch reference."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from evornn.errors import EvornnError
from evornn.kernels.evaluate import Evaluator
from evornn.layout import Form, Layout

if TYPE_CHECKING:
    from evornn.kernels.simd.evaluator import SimdEvaluator

Backend: TypeAlias = Literal["auto", "simd", "torch"]
log = logging.getLogger("evornn.kernels")


def evaluator(
    layout: Form, threads: int, backend: Backend, device: torch.device, dtype: torch.dtype
) -> Evaluator | SimdEvaluator:
    """The evaluator of a network. `auto` takes SIMD on the CPU in float32 for every equation that it knows, and says
    where it doesn't. Raises EvornnError when `simd` is asked for and impossible."""
    if backend == "torch":
        return Evaluator(layout, threads)
    reason = _hindrance(layout, device, dtype)
    if reason is None and isinstance(layout, Layout):
        from evornn.kernels.simd.evaluator import SimdEvaluator
        from evornn.kernels.simd.program import NotFusable

        try:
            return SimdEvaluator(layout, threads)
        except NotFusable as hindrance:
            reason = f"{type(layout.cell).__name__} uses {hindrance}"
            log.warning("%s, which the SIMD kernels don't know: it runs on torch, more slowly", reason)
    if backend == "simd":
        raise EvornnError(f"no SIMD kernel for this network, since {reason}: set network.backend to auto or torch")
    return Evaluator(layout, threads)


def _hindrance(layout: Form, device: torch.device, dtype: torch.dtype) -> str | None:
    if not isinstance(layout, Layout):
        return "it is no gated cell, but written in torch"
    if device.type != "cpu":
        return f"it is computed on {device}"
    return None if dtype == torch.float32 else f"its numbers are {str(dtype).removeprefix('torch.')}"
