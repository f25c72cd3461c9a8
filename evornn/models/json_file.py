"""JSON: equation, sizes and weights by name, for any other program."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from evornn.arrays import Genome
from evornn.data.preparation import Preparation
from evornn.kernels.reference import matrix
from evornn.layout import Layout
from evornn.models.step import initial_states


def to_json(
    layout: Layout,
    genome: Genome,
    title: str = "A recurrent network",
    about: str = "",
    preparation: Preparation | None = None,
) -> str:
    """The network as JSON.

    Args:
        layout: The network.
        genome: Its parameters [n].
        title: What it is.
        about: Its equation in words.
        preparation: How columns become its inputs, and its outputs answers; None: nothing is known of columns.

    Returns:
        The text: `weights` has each block of the genome, and what the architecture fixes, as nested lists: matrices
        [rows, columns] named layer.map.source, biases, parameters per unit.
    """
    genomes = torch.as_tensor(np.asarray(genome, np.float32))[None]
    names = [*layout.blocks, *layout.fixed_weights]
    document: dict[str, Any] = {
        "title": title,
        "equation": about,
        "inputs": layout.inputs,
        "units": layout.units,
        "outputs": layout.outputs,
        "layers": layout.layers,
        "parameters": layout.n,
        "preparation": preparation and preparation.to_dict(),
        "initial_states": {name: values.tolist() for name, values in initial_states(layout, genome).items()},
        "weights": {name: matrix(layout, genomes, name)[0].tolist() for name in names},
    }
    return json.dumps(document, ensure_ascii=False, indent=1)
