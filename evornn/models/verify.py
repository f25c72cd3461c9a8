"""Each exported file is run and compared with the network it was written from, before anybody gets it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Genome, Series, Streams
from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.scaling import Doubles, forward, inverse
from evornn.errors import EvornnError, require
from evornn.layout import Layout
from evornn.models.c_file import identifier
from evornn.models.step import check_exportable, flat_states, state_sizes
from evornn.models.units import NumpyUnits, Source, emit_answers, sources, sources_of, to_inputs
from evornn.networks.network import Network

LENGTHS = (1, 17, 400)  # steps of whole sequences
STREAMED = 64  # steps of the stream
BATCH = 3
TOLERANCE = 1e-5  # of a single step, relative to outputs beyond 1

States = Mapping[str, Floats]


class Runner(Protocol):
    """An exported file at work."""

    def __call__(self, inputs: NDArray[Any], states: States | None) -> tuple[NDArray[Any], dict[str, Floats]]:
        """[B, T, I] → outputs [B, T, O], or rows [B, T, C] → answers, and the states after the last step; states None:
        the initial ones."""


def check_export(network: Network, genome: Genome, runner: Runner, preparation: Preparation | None = None) -> float:
    """Compare a file with its network: whole sequences, and step by step as a stream.

    A network that amplifies differences, as chaotic ones do, may drift from itself over hundreds of steps. So it is the
    single step, from equal states, that must agree.

    Args:
        network: The network that was exported.
        genome: Its parameters [n].
        runner: Runs the file.
        preparation: With which it was exported; values in original units are compared in standard deviations.

    Returns:
        The largest difference over whole sequences of LENGTHS.

    Raises:
        EvornnError: The file computes something else.
    """
    rows, state = _examples(network.layout.inputs, preparation), None
    for step in range(STREAMED):
        row = rows[:, step : step + 1]
        exported, _ = runner(row, None if state is None else flat_states(check_exportable(network.layout), state))
        x = row if preparation is None else to_inputs(preparation, row)
        outputs, state = network.predict(genome[None], x, state=state, return_state=True)
        if not _agree(_scaled(preparation, exported), _expected(preparation, outputs[0], row)):
            raise EvornnError(
                f"the exported file differs from the network at step {step + 1}: please report this network to the "
                "authors of evornn"
            )
    return max(_difference(network, genome, runner, rows[:, :length], preparation) for length in LENGTHS)


def _difference(
    network: Network, genome: Genome, runner: Runner, rows: NDArray[Any], preparation: Preparation | None
) -> float:
    exported, _ = runner(rows, None)
    x = rows if preparation is None else to_inputs(preparation, rows)
    expected = _expected(preparation, network.predict(genome[None], x)[0], rows)
    return float(np.nanmax(np.abs(_scaled(preparation, exported) - expected), initial=0.0))


def _examples(inputs: int, preparation: Preparation | None) -> NDArray[Any]:
    """[BATCH, longest, I] inputs, or rows [BATCH, longest, C] in original units."""
    rng = Streams(0, "export").at(0)
    if preparation is None:
        return rng.standard_normal((BATCH, max(LENGTHS), inputs)).astype(np.float32)
    parts: dict[Source, Feature | OutputColumn] = {Source(answer.column): answer for answer in preparation.answers}
    is_change = {part: part.derived == "change" for part in preparation.features}
    parts |= {sources_of(part)[0]: part for part in reversed(preparation.features) if not is_change[part]}  # the value
    # before whether it is missing
    values = {source: _column(part, rng) for source, part in parts.items()}
    for part in filter(is_change.get, preparation.features):
        now, before = sources_of(part)
        last = forward(part.transform, values.setdefault(now, _column(replace(part, mean=0.0), rng)))
        values[before] = inverse(part.transform, last - part.mean - part.std * rng.standard_normal(last.shape))
    return np.stack([values[source] for source in sources(preparation)], axis=-1)


def _column(part: Feature | OutputColumn, rng: np.random.Generator) -> Doubles:
    """Values of a column as its training rows had them, roughly."""
    shape = BATCH, max(LENGTHS)
    if part.categories:
        return rng.integers(0, len(part.categories), shape).astype(np.float64)
    if isinstance(part, Feature) and (part.cycle or part.derived == "missing"):
        return rng.uniform(0.0, 1.0, shape)
    return inverse(part.transform, part.mean + part.std * rng.standard_normal(shape))


def _expected(preparation: Preparation | None, outputs: Series, rows: NDArray[Any]) -> NDArray[Any]:
    return (
        outputs if preparation is None else _scaled(preparation, emit_answers(preparation, NumpyUnits(), outputs, rows))
    )


def _scaled(preparation: Preparation | None, answers: NDArray[Any]) -> NDArray[Any]:
    """Answers [..., O] in standard deviations, so that differences mean the same for all of them."""
    if preparation is None:
        return answers
    parts, start = list[NDArray[Any]](), 0
    for answer in preparation.answers:
        own = answers[..., start : start + answer.width]
        start += answer.width
        with np.errstate(all="ignore"):
            scaled = own if answer.categories else (forward(answer.transform, own) - answer.mean) / answer.std
        parts.append(scaled)
    return np.concatenate(parts, axis=-1)


def _agree(exported: NDArray[Any], expected: NDArray[Any]) -> bool:
    return bool(np.allclose(exported, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def run_onnx(data: bytes) -> Runner:
    """Run an ONNX file. Raises EvornnError if the extra `export` is not installed."""
    with require("export", "an .onnx file"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of states that a caller may give
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: NDArray[Any], states: States | None) -> tuple[NDArray[Any], dict[str, Floats]]:
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

    def run(inputs: NDArray[Any], states: States | None) -> tuple[NDArray[Any], dict[str, Floats]]:
        given = None if states is None else {name: torch.as_tensor(values) for name, values in states.items()}
        with torch.no_grad():
            outputs, after = model.run(torch.as_tensor(inputs), given)
        return outputs.numpy(), {name: values.numpy() for name, values in after.items()}

    return run


def run_c(source: str, layout: Layout, name: str, number: Any = np.float32) -> Runner | None:
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
    reset, step = (getattr(loaded, f"{identifier(name)}_{what}") for what in ("reset", "step"))
    return _c_runner(reset, step, layout, number)


def _c_runner(reset: Any, step: Any, layout: Layout, number: Any) -> Runner:
    sizes = state_sizes(layout)

    def run(inputs: NDArray[Any], states: States | None) -> tuple[NDArray[Any], dict[str, Floats]]:
        outputs = np.empty((*inputs.shape[:2], layout.outputs), number)
        memory = np.zeros((len(inputs), max(1, sum(sizes.values()))), np.float32)
        for row, sequence in enumerate(np.ascontiguousarray(inputs, number)):
            reset(_pointer(memory[row]))
            if states is not None:
                memory[row] = np.concatenate([states[name][row] for name in sizes])
            for k, x in enumerate(sequence):
                step(_pointer(memory[row]), _pointer(x), _pointer(outputs[row, k]))
        ends = np.cumsum(list(sizes.values()))
        return outputs, dict(zip(sizes, np.split(memory, ends[:-1], axis=1), strict=True)) if sizes else {}

    return run


def _pointer(values: Any) -> Any:
    return values.ctypes.data_as(ctypes.c_void_p)
