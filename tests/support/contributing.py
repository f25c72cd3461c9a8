"""The network, the task and the trainer that CONTRIBUTING.md adds, as files."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
ADDED = ("networks/architectures/update_gate", "tasks/larger", "trainers/hill_climbing")  # in evornn/


def blocks() -> list[str]:
    """Its Python code: a network and its independent check, a task, a trainer."""
    return [dedent(text) for text in re.findall(r"^    ```python\n(.*?)^    ```$", PAGE.read_text(), re.M | re.S)]


def write_files(folder: Path) -> None:
    """The three, as modules without a package."""
    network, _, task, trainer = blocks()
    for place, code in zip(ADDED, (network, task, trainer), strict=True):
        (folder / f"{Path(place).name}.py").write_text(code)
