"""Parameters that stay inside a range whatever the trainer does to them: time constants, gains."""

import math

from evornn.ops import Node, exp, sigmoid


def map_to_range(p: Node, low: float, high: float) -> Node:
    """low·(high/low)^σ(p): inside the range for any p, evenly spread over its logarithm, differentiable."""
    return low * exp(math.log(high / low) * sigmoid(p))
