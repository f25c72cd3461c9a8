"""Exports: every gated cell in every format computes what the network computes, at any length and as a stream."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evornn.arrays import Genome
from evornn.cell import Cell
from evornn.errors import EvornnError
from evornn.models import export as exports
from evornn.models import verify
from evornn.models.c_file import literal
from evornn.models.export import export
from evornn.models.formats import FORMATS
from evornn.models.onnx_file import to_onnx
from evornn.models.torch_file import to_torch
from evornn.networks import CELLS
from evornn.networks.network import Network
from evornn.ops import Node, maximum, minimum, sign, where
from evornn.settings import settings

GATED = sorted(name for name in CELLS if issubclass(CELLS[name], Cell))
RUN = tuple(suffix for suffix in FORMATS if suffix != ".json")


def made(kind: str | Cell, **sizes: object) -> tuple[Network, Genome]:
    network = Network(kind, **{"inputs": 3, "units": 4, "outputs": 2, **sizes})  # type: ignore[arg-type]
    return network, network.sample(1, seed=0)[0]


@pytest.mark.parametrize("suffix", RUN)
@pytest.mark.parametrize("kind", GATED)
def test_every_gated_cell_is_compared_at_every_length_and_as_a_stream(kind: str, suffix: str, tmp_path: Path) -> None:
    network, genome = made(kind)
    exported = export(network, genome, tmp_path / f"my-network{suffix}")
    assert exported.file.stat().st_size > 0
    assert exported.difference is not None and exported.difference <= 1e-5


@pytest.mark.parametrize("suffix", RUN)
@pytest.mark.parametrize(
    "sizes",
    [{"layers": 3}, {"initial_state": "learned"}, {"inputs": 1, "units": 1, "outputs": 1}, {"units": 33, "layers": 2}],
    ids=str,
)
def test_layers_learned_states_and_other_sizes(sizes: dict[str, object], suffix: str, tmp_path: Path) -> None:
    exported = export(*made("lstm", **sizes), tmp_path / f"network{suffix}")
    assert exported.difference is not None and exported.difference <= 1e-5


@settings
class Odd(Cell):
    """Every operation that no cell of the catalog needs, a state that is broadcast, and numbers below 0."""

    state = ("h", "one")

    def step(self, w: object, x: Node, h: Node, one: Node, t: Node) -> tuple[Node, Node]:
        gate = where(sign(w.a(x)), maximum(h, -0.5), minimum(-2.0, h))  # type: ignore[attr-defined]
        return gate * w.scale + t * 0.01, t * -1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", RUN)
def test_a_cell_of_ones_own(suffix: str, tmp_path: Path) -> None:
    exported = export(*made(Odd()), tmp_path / f"network{suffix}")
    assert exported.difference is not None and exported.difference <= 1e-5


@pytest.mark.parametrize("suffix", RUN)
def test_a_file_that_computes_something_else_is_not_written(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, genome = made("gru")
    other = network.sample(1, seed=1)[0]
    write = exports._write
    monkeypatch.setattr(exports, "_write", lambda network, _, *rest: write(network, other, *rest))
    with pytest.raises(EvornnError, match="differs from the network at step 1"):
        export(network, genome, tmp_path / f"network{suffix}")
    assert not list(tmp_path.iterdir())


def test_torch_file_loads_without_evornn(tmp_path: Path) -> None:
    network, genome = made("lstm", layers=2)
    export(network, genome, tmp_path / "net.py")
    x = np.linspace(-1, 1, 2 * 9 * 3).reshape(2, 9, 3).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy, torch, net\n"
        "y = net.Model()(torch.from_numpy(numpy.load('x.npy')))\n"
        "assert not [name for name in sys.modules if name.startswith('evornn')]\n"
        "numpy.save('y.npy', y.detach().numpy())\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert np.allclose(np.load(tmp_path / "y.npy"), network.predict(genome[None], x)[0], atol=1e-6)


def test_torch_file_can_be_trained_further() -> None:
    import torch

    network, genome = made("elman")
    scope: dict[str, object] = {}
    exec(to_torch(network.layout, genome), scope)
    model = scope["Model"]()  # type: ignore[operator]
    model(torch.ones(1, 5, 3)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.numel() > 4)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on the PATH")
def test_c_file_needs_no_heap_and_one_state_for_each_stream(tmp_path: Path) -> None:
    network, genome = made("gru", inputs=1, outputs=1)
    export(network, genome, tmp_path / "7 gru.c", title="trained by **//* me")
    source = (tmp_path / "7 gru.c").read_text()
    assert not re.search(r"\b(malloc|calloc|realloc|free)\b", source)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "7 gru.c"\n'
        "int main(void) { s7_gru_state a, b; float x[1], y[1]; s7_gru_reset(&a); s7_gru_reset(&b);\n"
        'for (int k = 0; k < 5; k++) { x[0] = (float)k / 4; s7_gru_step(&a, x, y); printf("%.9g\\n", y[0]);\n'
        "x[0] = -9.0f; s7_gru_step(&b, x, y); } return 0; }\n"
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.c", "-o", "main", "-lm"]
    subprocess.run(["cc", *flags], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split()
    expected = network.predict(genome[None], (np.arange(5, dtype=np.float32) / 4).reshape(1, 5, 1))[0, 0, :, 0]
    assert np.allclose([float(number) for number in printed], expected, atol=1e-6)


def test_without_a_c_compiler_the_file_is_written_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.shutil, "which", lambda name: None)
    assert export(*made("gru"), tmp_path / "net.c").difference is None
    assert (tmp_path / "net.c").read_text().startswith("/* gru 3→4→2")


def test_numbers_of_c_are_exact() -> None:
    rng = np.random.default_rng(0)
    for number in [*rng.standard_normal(100).astype(np.float32), np.float32(1e-40), np.float32(3e38), np.float32(-1)]:
        assert np.float32(literal(float(number)).strip("()").removesuffix("f")) == number
    assert [literal(x) for x in (np.inf, -np.inf, np.nan)] == ["INFINITY", "-INFINITY", "NAN"]


def test_json_has_all_weights(tmp_path: Path) -> None:
    network, genome = made("gru")
    export(network, genome, tmp_path / "net.json", equation=lambda: "z = σ(…)")
    document = json.loads((tmp_path / "net.json").read_text())
    assert document["equation"] == "z = σ(…)" and document["parameters"] == network.n
    flat = np.concatenate([np.ravel(document["weights"][name]) for name in network.layout.blocks])
    assert np.array_equal(flat.astype(np.float32), genome)


def test_onnx_keeps_any_batch_and_length(tmp_path: Path) -> None:
    network, genome = made("lstm")
    run = verify.run_onnx(to_onnx(network.layout, genome))
    for batch, length in ((1, 1), (7, 2), (2, 130)):
        x = np.random.default_rng(0).standard_normal((batch, length, 3)).astype(np.float32)
        assert np.allclose(run(x, None)[0], network.predict(genome[None], x)[0], atol=1e-6)


def test_what_cannot_be_exported_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(EvornnError, match=r"net\.pt: the suffix names the format: \.safetensors .* \.onnx"):
        export(*made("gru"), tmp_path / "net.pt")
    network = Network("bidirectional", inputs=3, units=4, outputs=2)
    with pytest.raises(EvornnError, match="torch model without an equation"):
        export(network, network.sample(1, 0)[0], tmp_path / "net.onnx")
    with pytest.raises(EvornnError, match=r"^can't write .*missing.*: No such file"):
        export(*made("gru"), tmp_path / "missing" / "net.json")
