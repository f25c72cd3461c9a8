"""Executors for the length of a block, a listener that records ends, and the identity of a dead process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from evornn.service.executors.executor import Executor
from evornn.service.executors.local_executor import LocalExecutor
from evornn.service.executors.subprocess_executor import ExecutorFactory, SubprocessExecutor
from evornn.store.records import StoredRun
from evornn.training.records import Update


@contextmanager
def in_this_process() -> Iterator[Executor]:
    working = LocalExecutor()
    yield working
    working.close()


@contextmanager
def in_subprocess(make: ExecutorFactory) -> Iterator[SubprocessExecutor]:
    working = SubprocessExecutor(make)
    yield working
    working.close()


class EndRecorder:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def on_claim(self, run: StoredRun) -> None: ...
    def on_update(self, run: StoredRun, update: Update) -> None: ...
    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        self.ends.append((state, reason))


def dead_identity() -> str:
    """The name of a dispatcher whose process has ended."""
    code = "from evornn.service.dispatch.process_identity import current_identity; print(current_identity())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
