"""Whether a command line of evornn or Ray is one: its options exist, and their values are of the right kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from evornn.cli.app import app


def check_command(words: Sequence[str]) -> None:
    """Check the words after those that are no option, such as a path before `evornn`. Raises UsageError."""
    program, *rest = words
    if program.rpartition("/")[2] == "evornn":
        _check(get_command(app), rest)
    else:
        assert program.rpartition("/")[2] == "ray"
        from ray.scripts.scripts import cli

        _check(cli, rest)


def _check(group: Any, words: list[str]) -> None:
    while isinstance(group, TyperGroup) or hasattr(group, "commands"):
        name, group, words = group.resolve_command(group.make_context("x", [words[0]], resilient_parsing=True), words)
    group.make_context(name, list(words))
