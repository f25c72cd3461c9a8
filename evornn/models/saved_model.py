"""The file of a model that stands alone: .safetensors with the network, its weights, and how columns become inputs and
outputs become answers. Its metadata are JSON; loading a file runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from evornn import files
from evornn.arrays import Genome
from evornn.catalog import is_import_path
from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles
from evornn.data.symbols import is_vocabulary
from evornn.errors import EvornnError
from evornn.models.origin import ModelMetrics, Provenance
from evornn.models.units import for_group
from evornn.networks import NETWORKS
from evornn.networks.network import Network

HEAD = 8  # bytes at the start of a safetensors file: the length of its JSON header
LARGEST_HEAD = 2**22  # bytes
DAMAGED = "is not a model of evornn, or is damaged: download it again"
OLD_FIELDS = {"run", "network", "inputs", "outputs", "parameters"}  # of files of evornn 0.1, which had no preparation

Calibration: TypeAlias = NDArray[np.float64]  # [K, G, S] absolute errors, sorted over K, NaN where unknown


@dataclass(frozen=True)
class Header:
    """The metadata of a file."""

    network: dict[str, Any]
    inputs: int
    outputs: int
    parameters: int
    preparation: Preparation | None = None
    metrics: ModelMetrics = field(default_factory=ModelMetrics)
    provenance: Provenance = field(default_factory=Provenance)
    format: int = 2


_HEADER = TypeAdapter(Header)


@dataclass(frozen=True, eq=False)
class SavedModel:
    """What the file has: a network with all that it takes to use it on a table."""

    architecture: dict[str, Any]  # a network's fragment of a spec: kind, units, …
    inputs: int
    outputs: int
    genome: Genome  # [n]
    preparation: Preparation | None = None
    metrics: ModelMetrics = field(default_factory=ModelMetrics)
    provenance: Provenance = field(default_factory=Provenance)
    calibration: Calibration | None = None  # of G answers, S steps ahead; None: no intervals
    trusted: bool = False  # whether code of one's own that the architecture names may be imported

    @property
    def code(self) -> str | None:
        """The name of code of one's own that the architecture names; None: all its names are the catalog's."""
        return _code(self.architecture)

    @cached_property
    def network(self) -> Network:
        """The network, on this machine's CPU. Raises EvornnError where it can't be built."""
        kind = str(self.architecture.get("kind"))
        if self.code and not self.trusted:
            raise EvornnError(
                f"the network is code, {self.code}, which would be imported: load the model with trusted=True"
            )
        sizes = {
            name: value
            for name, value in self.architecture.items()
            if name not in ("kind", "label", "inputs", "outputs")
        }
        if kind in NETWORKS and "units" in NETWORKS[kind].size_fields:
            sizes.setdefault("units", 8)  # files of evornn 0.1 have what the spec had, whose default it was
        network = Network(kind, inputs=self.inputs, outputs=self.outputs, **sizes)
        if network.n != len(self.genome):
            raise EvornnError(f"the model has {len(self.genome)} parameters, its network {network.n}: {DAMAGED}")
        return network

    @property
    def own_preparation(self) -> Preparation:
        """The preparation. Raises EvornnError where there is none."""
        if self.preparation is None:
            raise EvornnError(
                "the model knows no columns, only the numbers of its network: use `model.network.predict`, or train on "
                "a task of your own data, such as csv"
            )
        if self.preparation.question == "language":
            raise EvornnError(
                "a model of a text reads no tables, and has no stream or report: `predict`, `evaluate` and `generate` "
                "take texts"
            )
        return self.preparation

    def for_group(self, group: str) -> Self:
        """The model with the scales of one group, where each group has its own: for a stream or an export of this group
        alone. `predict` and `evaluate` take those of each."""
        preparation = for_group(self.own_preparation, group)
        if preparation == self.preparation:
            return self
        model = replace(self, preparation=preparation)
        vars(model)["network"] = self.network  # the same one, not built again
        return model

    def to_bytes(self) -> bytes:
        """The bytes of the file."""
        from safetensors.numpy import save

        header = Header(
            self.architecture,
            self.inputs,
            self.outputs,
            len(self.genome),
            self.preparation,
            self.metrics,
            self.provenance,
        )
        arrays: dict[str, NDArray[Any]] = {"genome": np.ascontiguousarray(self.genome, np.float32)}
        if self.calibration is not None:
            arrays["calibration"] = np.ascontiguousarray(self.calibration, np.float64)
        return bytes(save(arrays, metadata={"evornn": _HEADER.dump_json(header).decode()}))

    def save(self, path: str | Path) -> None:
        """Write the file. Raises EvornnError if it can't be written."""
        files.save(Path(path), self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "the file", trusted: bool = False) -> Self:
        """The inverse of `to_bytes`. Raises EvornnError for any other data, even if it is malicious.

        Args:
            data: The bytes of a file.
            name: What errors call it.
            trusted: Whether code of one's own that it names as its network may be imported.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            header = _read_header(data)
            arrays = load(data)
            genome, calibration = arrays["genome"], arrays.get("calibration")
            _check(header, genome, calibration)
        except (SafetensorError, ValidationError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise EvornnError(f"{name} {DAMAGED}") from None
        parts = header.preparation, header.metrics, header.provenance
        return cls(header.network, header.inputs, header.outputs, genome, *parts, calibration, trusted)


def _read_header(data: bytes) -> Header:
    length = int.from_bytes(data[:HEAD], "little")
    if length > LARGEST_HEAD:
        raise ValueError(length)
    text = json.loads(data[HEAD : HEAD + length])["__metadata__"]["evornn"]
    record: Mapping[str, Any] = json.loads(text)
    if record.keys() == OLD_FIELDS:
        sizes = {name: record[name] for name in ("network", "inputs", "outputs", "parameters")}
        return _HEADER.validate_python({**sizes, "provenance": {"run": record["run"]}, "format": 1})
    return _HEADER.validate_json(text)


def _code(part: Any) -> str | None:
    """The first name of code in an architecture, at any depth; None: all its names are the catalog's."""
    if isinstance(part, dict | list):
        parts = part.values() if isinstance(part, dict) else part
        return next((code for one in parts if (code := _code(one))), None)
    return part if is_import_path(part) else None


def _check(header: Header, genome: Genome, calibration: Doubles | None) -> None:
    """Raises ValueError for parts that don't belong together."""
    if genome.dtype != np.float32 or genome.shape != (header.parameters,) or header.format > 2:
        raise ValueError
    preparation = header.preparation
    if preparation is None:
        if calibration is not None:
            raise ValueError
        return
    parts: list[Feature | OutputColumn] = [*preparation.features, *preparation.answers]
    numbers = np.array([scale for part in parts for scale in ((part.mean, part.std), *(s[1:] for s in part.scales))])
    sizes = tuple(sum(part.width for part in side) for side in (preparation.features, preparation.answers))
    if sizes != (header.inputs, header.outputs) or not np.isfinite(numbers).all() or (numbers[:, 1] <= 0).any():
        raise ValueError
    horizons = {answer.horizon for answer in preparation.answers}
    if min(horizons) < 1 or (
        preparation.question == "forecast" and ((preparation.window or 0) < 1 or len(horizons) > 1)
    ):
        raise ValueError
    if preparation.question == "language" and not _is_of_text(preparation):
        raise ValueError
    if calibration is not None and (calibration.ndim != 3 or calibration.shape[1] != len(preparation.answers)):
        raise ValueError


def _is_of_text(preparation: Preparation) -> bool:
    """Whether it has one vocabulary, for what is read and for what is answered."""
    if len(preparation.features) != 1 or len(preparation.answers) != 1:
        return False
    read, answer = preparation.features[0], preparation.answers[0]
    same = (read.column, read.categories) == (answer.column, answer.categories)
    return same and is_vocabulary(read.column, read.categories)
