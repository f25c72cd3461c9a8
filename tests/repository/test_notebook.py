"""The notebook of the examples runs from its first cell to its last, as a reader would run it, without a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs: clear them"
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs: list[Any] = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type in ("stream", "error")]
    bars = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
    assert len(bars) == 1 and "21/21 runs" in bars[0] and "value='1.0000'" in bars[0]
    assert sum("text/html" in output.data for output in outputs) >= 8
    assert (tmp_path / "load.safetensors").exists()
