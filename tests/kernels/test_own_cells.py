"""Cells of a user's own, named by their place: computed like any other, refused where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from specs import with_changes

import evornn
from evornn.errors import EvornnError
from evornn.experiments.catalog import entries
from evornn.experiments.spec import parse_spec, split_network
from evornn.networks.network import Network
from evornn.settings import BadSetting

MODULE = '''
"""Update gate network (Collins, Sohl-Dickstein & Sussillo 2017): g = σ(W xₜ + U hₜ₋₁ + b), hₜ = g⊙hₜ₋₁ + …"""

from typing import Annotated

from annotated_types import Gt

from evornn.cell import Cell
from evornn.ops import sigmoid, tanh
from evornn.settings import settings


@settings
class UpdateGate(Cell):
    """Notes."""

    steepness: Annotated[float, Gt(0)] = 2.0

    def step(self, w, x, h):
        g = sigmoid(self.steepness * w.g(x, h))
        return g * h + (1 - g) * tanh(w.c(x, h))


class Undecorated(Cell):
    def step(self, w, x, h):
        return tanh(w.h(x, h))


@settings
class Mistaken(Cell):
    def step(self, w, x, h):
        return tanh(w.h(x, g))


NUMBER = 3
'''
KIND = "a_users_cells:UpdateGate"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_users_cells.py").write_text(MODULE)
    (tmp_path / "a_broken_module.py").write_text("1 / 0")


def test_it_has_the_fused_kernel_and_gradients() -> None:
    sizes = {"inputs": 2, "units": 5, "outputs": 1, "steepness": 0.5}
    fused, exact = Network(KIND, **sizes), Network(KIND, **sizes, dtype="float64", backend="torch")
    rng = np.random.default_rng(0)
    data = rng.standard_normal((20, 9, 2)), rng.standard_normal((20, 9, 1))
    (losses, gradients), (right_losses, right) = (n.gradients(fused.sample(3, 0), *data) for n in (fused, exact))
    assert fused.backend == "simd"
    np.testing.assert_allclose(losses, right_losses, rtol=1e-5)
    assert (np.linalg.norm(gradients - right, axis=1) < 1e-4 * np.linalg.norm(right, axis=1)).all()


def test_it_runs_from_a_spec_and_is_found_again_in_the_store() -> None:
    spec = with_changes(networks=[{"kind": KIND, "units": 3, "steepness": 0.5}], seeds=1, trainers=[{"kind": "adam"}])
    with evornn.run(spec, store="sqlite:///own.db", workers=0) as results:
        run = results.run(1)
        assert run.network.cell.steepness == 0.5 and run.genome.shape == (run.network.n,)


def test_the_catalog_describes_it() -> None:
    (entry,) = entries(KIND)
    assert entry.settings == {"units": 8, "layers": 1, "initial_state": "zero", "steepness": 2.0}
    assert entry.architecture and entry.architecture.paper == "Collins, Sohl-Dickstein & Sussillo 2017"
    assert entry.architecture.parameters == "2H² + 2HI + HO + 2H + O"


def test_a_spec_from_elsewhere_may_not_name_code() -> None:
    """It is refused before anything is imported."""
    for kind in (KIND, "a_broken_module:Cell"):
        with pytest.raises(BadSetting, match=r"^networks\.1\.kind: .* is code of your own: run it on your machine"):
            parse_spec(with_changes(networks=[{"kind": "elman"}, {"kind": kind}]), own_code=False)
        with pytest.raises(BadSetting, match=r"^networks\.0\.of\.kind: .* is code of your own"):
            parse_spec(with_changes(networks=[{"kind": "bidirectional", "of": {"kind": kind}}]), own_code=False)
    with pytest.raises(BadSetting, match=r"^tasks\.0\.environment: .* is code of your own"):
        parse_spec(with_changes(tasks=[{"kind": "gymnasium", "environment": "a_broken_module:Its-v0"}]), own_code=False)
    assert parse_spec(with_changes(networks=[{"kind": KIND}])).networks == [{"kind": KIND}]
    assert parse_spec(with_changes(networks=[{"kind": "elman"}]), own_code=False)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such module": (
        {"kind": "nowhere.cells:Cell"},
        r"network nowhere\.cells:Cell: cannot be imported, .*PYTHONPATH",
    ),
    "no such class": ({"kind": "a_users_cells:Gone"}, "has no attribute 'Gone'"),
    "a module that fails": (
        {"kind": "a_broken_module:Cell"},
        "cannot be imported, ZeroDivisionError: division by zero",
    ),
    "no name": ({"kind": ":"}, "cannot be imported"),
    "not a cell": ({"kind": "a_users_cells:NUMBER"}, "must be a subclass of Cell, decorated with @settings"),
    "another library's class": ({"kind": "pathlib:Path"}, "must be a subclass of Cell"),
    "without settings": ({"kind": "a_users_cells:Undecorated"}, "must be a subclass of Cell, decorated with @settings"),
    "a wrong setting": (
        {"kind": KIND, "stepness": 1},
        "unknown setting of network 'stepness': did you mean 'steepness'",
    ),
    "a wrong size": ({"kind": KIND, "unit": 1}, "unknown setting of network 'unit': did you mean 'units'"),
    "a wrong value": ({"kind": KIND, "steepness": 0}, r"network\.steepness: must be above 0, got 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(case: str) -> None:
    fragment, message = WRONG[case]
    with pytest.raises(EvornnError, match=rf"\A.*{message}[^\n]*\Z"):
        split_network(fragment)


def test_a_mistake_in_an_equation_is_said_in_one_line() -> None:
    with pytest.raises(EvornnError, match=r"\AMistaken: name 'g' is not defined: look at its step and output\Z"):
        Network("a_users_cells:Mistaken", inputs=1, units=2, outputs=1)
