"""What lies between a trainer's step and the compiled kernel: trains on a tiny task and counts Python's calls.

    PYTHONPATH=CHECKOUT python -P tools/question.py [TRAINER …]

Prints JSON: {trainer: {"calls": …, "files": …, "question_calls": …, "question_files": …, "frames": …}}. It needs of the
checkout no more than `evornn.train`, `evornn.Network` and the names of the rooms trainers/, training/ and kernels/.

A generation is the outermost call from another room into trainers/; its question is the longest of the outermost calls
from there into training/, the oracle. Only generations whose question comes to kernels/ count. Counted are calls of
functions that are written in evornn, a generator's resumption among them, comprehensions not: newer Pythons make no
calls of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

TRAINERS = ("cma_es", "snes")
TASK = {"kind": "adding", "length": 10, "train": 16, "valid": 4, "test": 4}
BUDGET = 100_000  # network steps, for more generations than one that is steady
STEADY = 2  # the third generation: kernels are compiled, buffers allocated
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


@dataclass(frozen=True)
class Call:
    """One call of a function."""

    file: str  # below the package's folder
    name: str
    depth: int  # frames from the generation's own, which is 1


@dataclass
class Generation:
    """The calls of a trainer's generation, in order."""

    calls: list[Call] = field(default_factory=list)
    questions: list[list[Call]] = field(default_factory=list)

    @property
    def question(self) -> list[Call]:
        return max(self.questions, key=len, default=[])

    @property
    def is_computed(self) -> bool:
        """Whether it came to the kernels, rather than to the budget's end."""
        return any(call.file.startswith("kernels/") for call in self.question)

    def summary(self) -> dict[str, int]:
        return {
            "calls": len(self.calls),
            "files": len({call.file for call in self.calls}),
            "question_calls": len(self.question),
            "question_files": len({call.file for call in self.question}),
            "frames": max(call.depth for call in self.question),
        }


class Recorder:
    """A profile function that keeps the generations of all trainings that it sees."""

    def __init__(self, package: Path) -> None:
        self.prefix = f"{package}/"
        self.generations: list[Generation] = []
        self.stack: list[str] = []  # files of the package's open calls
        self.generation_depth = self.question_depth = 0  # their heights in the stack; 0: none is open

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(self.prefix):
            return
        if code.co_name in COMPREHENSIONS:
            return
        if event == "call":
            self.enter(code.co_filename.removeprefix(self.prefix), code.co_name)
        else:
            self.leave()

    def enter(self, file: str, name: str) -> None:
        caller = self.stack[-1] if self.stack else ""
        self.stack.append(file)
        height = len(self.stack)
        if not self.generation_depth and file.startswith("trainers/") and caller.startswith("training/"):
            self.generation_depth = height
            self.generations.append(Generation())
        if not self.generation_depth:
            return
        generation = self.generations[-1]
        if not self.question_depth and file.startswith("training/") and caller.startswith("trainers/"):
            self.question_depth = height
            generation.questions.append([])
        call = Call(file, name, height - self.generation_depth + 1)
        generation.calls.append(call)
        if self.question_depth:
            generation.questions[-1].append(call)

    def leave(self) -> None:
        height = len(self.stack)
        if not height:  # a function that was open before the recorder
            return
        self.stack.pop()
        if height == self.question_depth:
            self.question_depth = 0
        if height == self.generation_depth:
            self.generation_depth = 0

    def record(self, work: Callable[[], Any]) -> list[Generation]:
        """The generations of `work` that came to the kernels."""
        sys.setprofile(self)
        try:
            work()
        finally:
            sys.setprofile(None)
        return [generation for generation in self.generations if generation.is_computed]


def probe(trainer: str) -> dict[str, int]:
    """What the third generation of a training calls."""
    import evornn

    network = evornn.Network("lstm", inputs=2, units=4, outputs=1)
    recorder = Recorder(Path(str(evornn.__file__)).parent)
    return recorder.record(lambda: evornn.train(network, TASK, trainer, budget=BUDGET))[STEADY].summary()


def main(trainers: list[str]) -> None:
    import evornn

    result = {trainer: probe(trainer) for trainer in trainers or TRAINERS}
    print(json.dumps({"package": str(Path(str(evornn.__file__)).parent), **result}))


if __name__ == "__main__":
    main(sys.argv[1:])
