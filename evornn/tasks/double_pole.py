"""Balancing two poles of different length: the standard benchmark of neuroevolution since Wieland 1991."""

from __future__ import annotations

from evornn.settings import settings
from evornn.tasks.core.balancing import Balancing


@settings
class DoublePole(Balancing):
    """A pole of 1 m and one of 0.1 m on one cart, which fails beyond 36° or ±2.4 m. Without velocities the task needs
    memory; the damping fitness gives nothing for swinging the cart until the time is over."""

    poles = 2
