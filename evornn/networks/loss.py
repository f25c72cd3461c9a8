"""The losses: those of the kernels, and functions of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from evornn.arrays import Floats, Losses, Mask, Series
from evornn.catalog import import_object, is_import_path
from evornn.errors import EvornnError
from evornn.kernels.losses import STEP_LOSSES, WITHOUT_GRADIENT, step_loss
from evornn.kernels.quantile_levels import quantile_levels
from evornn.networks.arguments import to_tensor

CustomLoss: TypeAlias = "Callable[[Floats, Series, Mask], Losses] | Callable[[Tensor, Tensor, Tensor], Tensor]"
"""A user's loss: outputs [P, B, T, O], targets as given ([B, T, O], or class indices [B, T]; 0 where no step counts),
mask [B, T] → [P]. One written in torch gets tensors and has a gradient; any other gets numpy arrays and has none."""

DIFFERENTIABLE = [name for name in STEP_LOSSES if name not in WITHOUT_GRADIENT]
CLASSES = ("cross_entropy", "zero_one")  # outputs are classes, of which one is right
PROBABILITIES = (*CLASSES, "binary_cross_entropy")  # targets are 0, 1 or between
ROUNDING = 1e-3  # by which the probabilities of a step may miss 1


def load_loss(name: str) -> str | CustomLoss:
    """A loss by its name, or a function of the user's own, `my_package.my_losses:pinball`. Raises EvornnError."""
    if not is_import_path(name):
        step_loss(name)
        return name
    function = import_object("loss", name)
    if not callable(function):
        raise EvornnError(f"loss {name}: must be a function (outputs, targets, mask) → one number per member")
    return function  # type: ignore[no-any-return]


def has_gradient(loss: str | CustomLoss) -> bool:
    """Whether a loss can be differentiated by the outputs."""
    return loss not in WITHOUT_GRADIENT if isinstance(loss, str) else is_written_in_torch(loss)


def is_written_in_torch(loss: CustomLoss) -> bool:
    """Whether a function refers to torch: to a module such as `torch.nn.functional`, a function, or the type
    `torch.Tensor` of an argument. Torch's own losses and modules do, too."""
    while isinstance(loss, partial):
        loss = loss.func
    if _is_from_torch(loss):
        return True
    function = loss if hasattr(loss, "__code__") else type(loss).__call__  # an object that can be called
    code, space = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    closure = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    named = [space[name] for name in getattr(code, "co_names", ()) if name in space]
    annotations = map(str, getattr(function, "__annotations__", {}).values())
    return any(map(_is_from_torch, (*named, *closure))) or any("Tensor" in kind for kind in annotations)


def _is_from_torch(value: Any) -> bool:
    if isinstance(value, torch.nn.Module):
        return True
    name = getattr(value, "__name__", "") if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return isinstance(name, str) and (name == "torch" or name.startswith("torch."))


def custom_losses(loss: CustomLoss, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The losses that a user's function returns.

    Args:
        loss: the function.
        outputs: [P, B, T, O].
        targets: [B, T, O] or class indices [B, T].
        mask: [B, T].

    Returns:
        [P].

    Raises:
        EvornnError: `loss` is no function, or returns something else.
    """
    if not callable(loss):
        raise EvornnError(f"loss must be one of {', '.join(STEP_LOSSES)} or a function of your own, got {loss!r}")
    if is_written_in_torch(loss):
        return _check_result(loss(outputs, targets, mask), outputs)  # type: ignore[arg-type]
    values = loss(*(tensor.cpu().numpy() for tensor in (outputs, targets, mask)))  # type: ignore[arg-type]
    result = to_tensor("the result of your loss", values)
    return _check_result(result.to(outputs), outputs)


def custom_cotangents(loss: CustomLoss, outputs: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The losses of a user's function, and their derivatives by the outputs.

    Args:
        loss: the function, written in torch.
        outputs: [P, B, T, O].
        targets: [B, T, O] or class indices [B, T].
        mask: [B, T].

    Returns:
        [P] losses, and [P, B, T, O] the derivative of each by its member's outputs.

    Raises:
        EvornnError: `loss` returns something else, or can't be differentiated.
    """
    with torch.enable_grad():
        outputs = outputs.detach().requires_grad_()
        values = custom_losses(loss, outputs, targets, mask)
        if not values.requires_grad:
            raise EvornnError("your loss does not depend on the outputs through torch, so it has no gradient")
        (cotangents,) = torch.autograd.grad(values.sum(), outputs)
    return values.detach(), cotangents


def _check_result(result: Any, outputs: Tensor) -> Tensor:
    if not isinstance(result, Tensor) or result.shape != outputs.shape[:1]:
        got = list(result.shape) if isinstance(result, Tensor) else repr(result)[:60]
        raise EvornnError(f"your loss must return one number per member, [{len(outputs)}], got {got}")
    if result.is_complex():
        raise EvornnError(f"your loss must return real numbers, got {result.dtype}")
    losses = result if result.is_floating_point() else result.to(outputs)
    return torch.where(losses.isneginf(), torch.nan, losses)  # no loss is better than all others


def check_targets(loss: str | CustomLoss, targets: Tensor, mask: Tensor, outputs: int) -> None:
    """Refuse targets that a loss can't have: every result would be meaningless.

    Args:
        loss: A name, or a function, which may have any.
        targets: [B, T, O], or class indices [B, T], which fit every loss for classes.
        mask: [B, T] True where a step counts.
        outputs: The number of outputs O.

    Raises:
        EvornnError: The loss wants other targets or more outputs.
    """
    if loss == "poisson" and targets.ndim == 3 and (low := float(targets[mask].min())) < 0:
        raise EvornnError(
            f"the loss poisson wants counts, the lowest target is {low:.4g} (forecasts are standardised): use mse"
        )
    if isinstance(loss, str) and outputs % len(levels := quantile_levels(loss) or (0.5,)):
        raise EvornnError(
            f"the loss {loss} wants as many outputs for each of its {len(levels)} levels, and there are {outputs} in "
            "all: set quantiles of the task, or name one level"
        )
    if loss not in PROBABILITIES:
        return
    if loss == "cross_entropy" and outputs < 2:
        raise EvornnError(
            "the loss cross_entropy wants two outputs or more, one per class: use binary_cross_entropy or mse"
        )
    if targets.ndim == 2:
        return
    counted = targets[mask]
    low, high = float(counted.min()), float(counted.max())
    if low < 0 or high > 1:
        raise EvornnError(
            f"the loss {loss} wants targets from 0 to 1, these go from {low:.4g} to {high:.4g} (forecasts are "
            "standardised): use mse"
        )
    if loss in CLASSES and outputs > 1 and (off := (counted.double().sum(-1) - 1).abs()).max() > ROUNDING:
        total = float(counted[int(off.argmax())].double().sum())
        raise EvornnError(
            f"the loss {loss} wants targets that sum to 1 at every step, as those of one class do, one step has "
            f"{total:.4g}: use binary_cross_entropy or mse"
        )
