"""A trained network as one file: safetensors with the champion, and its design as JSON in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evornn import files
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.arrays import Genome
    from evornn.networks.network import Network
    from evornn.store.records import StoredRun
    from evornn.tasks.core.task import EvaluationData

SUFFIX = ".safetensors"
HEAD = 8  # bytes at the start of a safetensors file: the length of its JSON header
LARGEST_HEAD = 2**20  # bytes
DAMAGED = "is not a model of evornn, or is damaged: download it again"


@dataclass(frozen=True)
class Design:
    """How to build a network: its fragment of the spec, and the sizes of its task."""

    run: int
    network: dict[str, Any]  # the fragment of the spec: kind, units, …
    inputs: int
    outputs: int
    parameters: int

    def build(self) -> Network:
        """Build the network, to compute on this machine's CPU."""
        from evornn.experiments.execute import build_network

        return build_network({"network": self.network}, self.inputs, self.outputs)


def design_of(run: StoredRun, data: EvaluationData) -> Design:
    """The design of a run's network, whose inputs and outputs are those of its data."""
    from evornn.experiments.execute import build_network_for

    inputs, outputs = data.sizes
    parameters = run.parameters or build_network_for(run.fragments, data).n
    return Design(run.id, run.fragments["network"], inputs, outputs, parameters)


@dataclass(frozen=True)
class SavedNetwork:
    """A champion and its design: `model.design.build().predict(model.genome[None], inputs)`."""

    design: Design
    genome: Genome  # [n]

    def to_bytes(self) -> bytes:
        """The bytes of the file. Loading them runs no code."""
        from safetensors.numpy import save

        return bytes(save({"genome": self.genome}, metadata={"evornn": json.dumps(asdict(self.design))}))

    def write(self, path: str | Path) -> float | None:
        """Write a file for evornn, .safetensors, or for other programs: .onnx, .py (a torch module), .c, .json.

        Args:
            path: The file; its suffix names the format.

        Returns:
            How far the file is from the network at most, of a format that was run to compare it; None of others.

        Raises:
            EvornnError: The suffix is another one, the network has no equation to write, or the file can't be written.
        """
        if Path(path).suffix != SUFFIX:
            return self._export(Path(path))
        try:
            files.write(Path(path), self.to_bytes())
        except OSError as error:
            raise EvornnError(f"can't write {path}: {error.strerror or error}; choose another file") from None
        return None

    def _export(self, path: Path) -> float | None:
        from evornn.experiments.description import describe
        from evornn.models.export import export

        network, kind = self.design.build(), str(self.design.network["kind"])
        title = f"{kind} {network.layout.size}, champion of run {self.design.run}"
        return export(network, self.genome, path, title, lambda: describe(kind).equation).difference

    @staticmethod
    def read(path: str | Path) -> SavedNetwork:
        """Read a file. Raises EvornnError."""
        try:
            return from_bytes(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise EvornnError(f"can't read {path}: {error.strerror or error}") from None


def from_bytes(data: bytes, name: str = "the file") -> SavedNetwork:
    """The inverse of `SavedNetwork.to_bytes`. Raises EvornnError for any other data, even if it is malicious."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        design = Design(**json.loads(_read_header(data)["__metadata__"]["evornn"]))
        genome = load(data)["genome"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise EvornnError(f"{name} {DAMAGED}") from None
    if genome.dtype != np.float32 or genome.shape != (design.parameters,):
        raise EvornnError(f"{name} {DAMAGED}")
    return SavedNetwork(design, genome)


def _read_header(data: bytes) -> Mapping[str, Any]:
    length = int.from_bytes(data[:HEAD], "little")
    if length > LARGEST_HEAD:
        raise ValueError(length)
    header: Mapping[str, Any] = json.loads(data[HEAD : HEAD + length])
    return header
