"""Output of commands: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evornn.experiments.analysis.comparison import Comparison


def show(content: Any, as_json: bool) -> None:
    """Print plain data as JSON, or anything that rich can render."""
    if as_json:
        print(json.dumps(to_jsonable(content), indent=1))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width
        console.width = 100
    console.print(content)


def show_comparison(comparison: Comparison, job: int | None, as_json: bool) -> None:
    """Print a comparison.

    Args:
        comparison: The comparison.
        job: Number of the job, for JSON.
        as_json: JSON instead of tables.
    """
    from evornn.experiments.analysis.comparison import as_data
    from evornn.experiments.reporting.terminal import render

    about = {} if job is None else {"job": job}
    show({**about, **as_data(comparison)} if as_json else render(comparison), as_json)


def to_jsonable(value: Any) -> Any:
    """Plain data for JSON; NaN and infinity, which it lacks, become text."""
    if isinstance(value, dict):
        return {str(key): to_jsonable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
