"""Parameters that stay inside a range whatever the trainer does: time constants, gains."""

import math

from evornn.ops import Node, exp, sigmoid


def map_to_range(p: Node, low: float, high: float) -> Node:
    """low·(high/low)^σ(p): a differentiable map into the range, uniform over its logarithm.

    Args:
        p: the parameter, unbounded.
        low: the lower end of the range, above 0.
        high: the upper end of the range.
    """
    return low * exp(math.log(high / low) * sigmoid(p))
