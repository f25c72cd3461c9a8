"""The name of the loss of quantiles, which says their levels: `quantile(0.1, 0.5, 0.9)`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from evornn.errors import EvornnError


def quantile_loss(levels: Sequence[float]) -> str:
    """The name of the loss of quantiles.

    >>> quantile_levels(quantile_loss([0.1, 0.9]))
    (0.1, 0.9)
    """
    return f"quantile({', '.join(f'{level:g}' for level in levels)})"


@cache
def quantile_levels(loss: str) -> tuple[float, ...]:
    """The levels of a loss `quantile(0.1, 0.9)`; none for another loss. Raises EvornnError for levels that are no
    increasing numbers between 0 and 1."""
    kind, _, rest = loss.partition("(")
    if kind.strip() != "quantile":
        return ()
    try:
        levels = tuple(float(level) for level in rest.rstrip().removesuffix(")").split(","))
    except ValueError:
        levels = ()
    if not levels or not all(low < high for low, high in pairwise((0.0, *levels, 1.0))):
        raise EvornnError(
            f"the loss {loss} wants one level or more between 0 and 1, in order, such as quantile(0.1, 0.5, 0.9)"
        )
    return levels
