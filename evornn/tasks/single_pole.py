"""Balancing one pole: easy, and the first thing that a search for a controller should do."""

from __future__ import annotations

from evornn.settings import settings
from evornn.tasks.core.balancing import Balancing


@settings
class SinglePole(Balancing):
    """One pole on a cart, which fails beyond 12° or ±2.4 m. Without velocities it takes memory."""

    poles = 1
