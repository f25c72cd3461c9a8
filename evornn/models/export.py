"""A trained network as one file for other programs: `export(network, genome, "gru.onnx")`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evornn import files
from evornn.arrays import Genome
from evornn.data.preparation import Preparation
from evornn.errors import EvornnError
from evornn.models.c_file import to_c
from evornn.models.formats import FORMATS
from evornn.models.json_file import to_json
from evornn.models.onnx_file import to_onnx
from evornn.models.step import check_exportable
from evornn.models.torch_file import to_torch
from evornn.models.verify import Runner, check_export, run_c, run_onnx, run_torch
from evornn.networks import CELLS
from evornn.networks.documentation import equation_of
from evornn.networks.network import Network

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel


@dataclass(frozen=True)
class Exported:
    """A written file, and how far it is from its network."""

    file: Path
    difference: float | None  # the largest over sequences of up to 400 steps; None: there was nothing to run it


def export(
    network: Network,
    genome: Genome,
    file: str | Path,
    title: str = "",
    equation: Callable[[], str] = str,
    preparation: Preparation | None = None,
) -> Exported:
    """Write a trained network to a file that other programs run, after comparing it with the network.

    Args:
        network: The network; a gated cell, whose equation can be written in other languages.
        genome: Its parameters [n].
        file: Its suffix names the format: .onnx, .py (a torch module), .c or .json.
        title: What the network is, for the file's first line.
        equation: Its equation in words, for JSON.
        preparation: How columns become its inputs, and its outputs answers: then the file takes and gives values in
            their own units. None: it takes and gives the network's own numbers.

    Returns:
        The file, and the largest difference that was found.

    Raises:
        EvornnError: The suffix is another one, the architecture has no equation, the extra `export` is missing, or the
            file can't be written.
    """
    path = Path(file)
    if path.suffix not in FORMATS:
        known = "; ".join(f"{suffix} ({what})" for suffix, what in FORMATS.items())
        raise EvornnError(f"{path}: the suffix names the format: .safetensors (for evornn); {known}")
    content, runner = _write(network, genome, path, title or repr(network).strip("<>"), equation, preparation)
    difference = None if runner is None else check_export(network, genome, runner, preparation)
    try:
        files.write(path, content)
    except OSError as error:
        raise EvornnError(f"can't write {path}: {error.strerror or error}; choose another file") from None
    return Exported(path, difference)


def _write(
    network: Network,
    genome: Genome,
    path: Path,
    title: str,
    equation: Callable[[], str],
    preparation: Preparation | None,
) -> tuple[bytes, Runner | None]:
    """The content of the file, and what runs it."""
    layout = check_exportable(network.layout)
    if path.suffix == ".onnx":
        data = to_onnx(layout, genome, preparation)
        return data, run_onnx(data)
    if path.suffix == ".py":
        source = to_torch(layout, genome, title, preparation)
        return source.encode(), run_torch(source)
    if path.suffix == ".c":
        source = to_c(layout, genome, path.stem, title, preparation)
        number = np.float32 if preparation is None else np.float64
        return source.encode(), run_c(source, layout, path.stem, number)
    return to_json(layout, genome, title, equation(), preparation).encode(), None


def export_model(model: SavedModel, file: str | Path) -> Exported:
    """`export` of a model that stands alone: with a preparation, values in their own units in and out."""
    kind, network = str(model.architecture["kind"]), model.network
    run = "" if model.provenance.run is None else f", champion of run {model.provenance.run}"
    title = f"{kind} {network.layout.size}{run}"
    return export(network, model.genome, file, title, lambda: equation_of(CELLS[kind]), model.preparation)
