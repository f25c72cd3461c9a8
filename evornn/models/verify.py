"""Each exported file is run and compared with the network it was written from, before anybody gets it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from evornn.arrays import Floats, Genome, Series, Streams
from evornn.errors import EvornnError, require
from evornn.layout import Layout
from evornn.models.c_file import identifier
from evornn.models.step import state_sizes
from evornn.networks.network import Network

LENGTHS = (1, 17, 400)  # steps of whole sequences
STREAMED = 64  # steps of the stream
BATCH = 3
TOLERANCE = 1e-5  # of a single step, relative to outputs beyond 1

States = Mapping[str, Floats]


class Runner(Protocol):
    """An exported file at work."""

    def __call__(self, inputs: Series, states: States | None) -> tuple[Series, dict[str, Floats]]:
        """[B, T, I] → outputs [B, T, O] and the states after the last step; states None: the initial ones."""


def check_export(network: Network, genome: Genome, runner: Runner) -> float:
    """Compare a file with its network: whole sequences, and step by step as a stream.

    A network that amplifies differences, as chaotic ones do, may drift from itself over hundreds of steps. So it is the
    single step, from equal states, that must agree.

    Args:
        network: The network that was exported.
        genome: Its parameters [n].
        runner: Runs the file.

    Returns:
        The largest difference over whole sequences of LENGTHS.

    Raises:
        EvornnError: The file computes something else.
    """
    numbers = Streams(0, "export").at(0).standard_normal((BATCH, max(LENGTHS), network.layout.inputs))
    inputs = numbers.astype(np.float32)
    state: Any = None
    for step in range(STREAMED):
        x = inputs[:, step : step + 1]
        exported, _ = runner(x, None if state is None else _flat(network.layout, state))
        expected, state = network.predict(genome[None], x, state=state, return_state=True)
        if not _agree(exported, expected[0]):
            raise EvornnError(
                f"the exported file differs from the network at step {step + 1}: please report this network to the "
                "authors of evornn"
            )
    return max(_difference(network, genome, runner, inputs[:, :length]) for length in LENGTHS)


def _difference(network: Network, genome: Genome, runner: Runner, inputs: Series) -> float:
    exported, _ = runner(inputs, None)
    return float(np.nanmax(np.abs(exported - network.predict(genome[None], inputs)[0]), initial=0.0))


def _agree(exported: Series, expected: Series) -> bool:
    return bool(np.allclose(exported, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _flat(layout: Any, state: Any) -> dict[str, Floats]:
    """The states of `Network.predict`, by the names of an export."""
    values = {}
    for name in state_sizes(layout):
        layer, _, own = name.partition(".")
        values[name] = np.asarray(state[int(layer)][own][0] if own else state[-1][name][0], np.float32)
    return values


def run_onnx(data: bytes) -> Runner:
    """Run an ONNX file. Raises EvornnError if the extra `export` is not installed."""
    with require("export", "an .onnx file"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of states that a caller may give
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Series, states: States | None) -> tuple[Series, dict[str, Floats]]:
        given = {f"state.{name}": values for name, values in (states or {}).items()}
        outputs, *after = session.run(names, {"inputs": inputs, **given})
        return outputs, {name.removeprefix("next."): value for name, value in zip(names[1:], after, strict=True)}

    return run


def run_torch(source: str) -> Runner:
    """Run a Python module that `torch_file` has written."""
    import torch

    scope: dict[str, Any] = {}
    exec(compile(source, "exported network", "exec"), scope)  # written by this process a moment ago
    model = scope["Model"]()

    def run(inputs: Series, states: States | None) -> tuple[Series, dict[str, Floats]]:
        given = None if states is None else {name: torch.as_tensor(values) for name, values in states.items()}
        with torch.no_grad():
            outputs, after = model.run(torch.as_tensor(inputs), given)
        return outputs.numpy(), {name: values.numpy() for name, values in after.items()}

    return run


def run_c(source: str, layout: Layout, name: str) -> Runner | None:
    """Compile and run a C file; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    with TemporaryDirectory() as folder:
        (file := Path(folder) / "network.c").write_text(source, encoding="utf-8")
        library = Path(folder) / "network.so"
        flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        made = subprocess.run([compiler, *flags, str(file), "-o", str(library), "-lm"], capture_output=True, text=True)
        if made.returncode:
            raise EvornnError(f"{compiler} can't compile the exported file: {made.stderr.strip().splitlines()[0]}")
        loaded = ctypes.CDLL(str(library))
    return _c_runner(getattr(loaded, f"{identifier(name)}_reset"), getattr(loaded, f"{identifier(name)}_step"), layout)


def _c_runner(reset: Any, step: Any, layout: Layout) -> Runner:
    sizes = state_sizes(layout)

    def run(inputs: Series, states: States | None) -> tuple[Series, dict[str, Floats]]:
        outputs = np.empty((*inputs.shape[:2], layout.outputs), np.float32)
        memory = np.zeros((len(inputs), max(1, sum(sizes.values()))), np.float32)
        for row, sequence in enumerate(np.ascontiguousarray(inputs, np.float32)):
            reset(_pointer(memory[row]))
            if states is not None:
                memory[row] = np.concatenate([states[name][row] for name in sizes])
            for k, x in enumerate(sequence):
                step(_pointer(memory[row]), _pointer(x), _pointer(outputs[row, k]))
        ends = np.cumsum(list(sizes.values()))
        return outputs, dict(zip(sizes, np.split(memory, ends[:-1], axis=1), strict=True)) if sizes else {}

    return run


def _pointer(values: Any) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
