"""The command `evornn` in this process: its status, output and errors."""

from __future__ import annotations

import json
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evornn import cli


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """The command, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
        self.monkeypatch, self.capfd, self.folder = monkeypatch, capfd, folder

    def __call__(self, *words: str | Path) -> Answer:
        self.monkeypatch.setattr(sys, "argv", ["evornn", *map(str, words)])
        self.capfd.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        try:
            cli.main()
        except SystemExit as end:
            return self._answer(end.code)
        finally:
            signal.signal(signal.SIGTERM, before)
        return self._answer(0)

    def _answer(self, status: Any) -> Answer:
        out, err = self.capfd.readouterr()
        return Answer(int(status or 0), out, err)

    def refuses(self, *words: str | Path) -> str:
        """The error, which is one line; again as JSON."""
        answer = self(*words)
        assert answer.status == 1, answer
        assert answer.err.startswith("error: ") and answer.err.count("\n") == 1, answer.err
        again = self(*words, "--json")
        assert again.status == 1
        assert mask_free_memory("error: " + json.loads(again.err)["error"]) == mask_free_memory(answer.err.rstrip("\n"))
        return answer.err.rstrip("\n")


def mask_free_memory(error: str) -> str:
    """An error without the memory that was free at its moment."""
    return re.sub(r"[\d.]+ GiB are available", "GiB are available", error)
