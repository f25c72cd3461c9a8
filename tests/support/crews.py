"""Helpers without Ray, for tests of what is asked of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from ray import cloudpickle

from evornn.training.problem import Problem
from evornn.workers.sharded import Arguments, Lost


class Here:
    """A helper in this process, with a copy of the problem; it dies at the `mortal`-th question."""

    def __init__(self, mortal: int | None = None) -> None:
        self.mortal, self.asked = mortal, 0
        self.problem: Any = None

    def ask(self, question: str, arguments: Arguments) -> Callable[[], Any]:
        self.asked += 1
        sent = pickle.dumps(arguments)
        if self.asked == self.mortal:
            return self._die
        return lambda: getattr(self.problem, question)(*pickle.loads(sent))

    def _die(self) -> Any:
        raise Lost


class Team:
    """A crew of them."""

    def __init__(self, *helpers: Here) -> None:
        self.helpers = helpers

    def equip(self, problem: Problem) -> None:
        for helper in self.helpers:
            helper.problem = cloudpickle.loads(cloudpickle.dumps(problem))

    def present(self) -> list[Here]:
        return list(self.helpers)
