"""Balancing one pole: an easy first test of a search for a controller."""

from __future__ import annotations

from evornn.settings import settings
from evornn.tasks.core.balancing import Balancing


@settings
class SinglePole(Balancing):
    """One pole on a cart, which fails beyond 12° or ±2.4 m. Without velocities the task needs memory."""

    poles = 1
