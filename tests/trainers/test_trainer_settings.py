"""Wrong settings of trainers are named; parts may be trainers or specs."""

from __future__ import annotations

from typing import Any

import pytest

from evornn.errors import EvornnError, UnknownName
from evornn.settings import BadSetting
from evornn.trainers import TRAINERS


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"kind": "cma_es", "population": 1}, BadSetting, r"trainer\.population: must be at least 2, got 1"),
        ({"kind": "snes", "population": 1}, BadSetting, r"trainer\.population"),
        ({"kind": "adam", "learning_rate": 0}, BadSetting, r"trainer\.learning_rate"),
        ({"kind": "adam", "betas": [0.9, 1.0]}, BadSetting, r"trainer\.betas\.1: must be below 1"),
        ({"kind": "adam", "betas": [0.9]}, BadSetting, r"trainer\.betas"),
        ({"kind": "genetic_algorithm", "crossover": "unifrom"}, BadSetting, r"trainer\.crossover: .*'one_point'"),
        ({"kind": "cma_es", "bounds": [1, 1]}, BadSetting, r"trainer\.bounds: .*first bound must be below the second"),
        ({"kind": "pgpe", "population": 5}, BadSetting, r"trainer\.population: .*multiple of 2"),
        ({"kind": "sgd", "schedule": "cosin"}, BadSetting, r"trainer\.schedule\.shape: .*'cosine'"),
        ({"kind": "memetic", "elites": 1.5}, BadSetting, r"trainer\.elites"),
        (
            {"kind": "gradient_injection", "gradient": {"kind": "snes"}},
            BadSetting,
            r"trainer\.gradient: snes follows no gradient; use sgd",
        ),
        (
            {"kind": "evolve_then_refine", "evolve": {"kind": "lbfgs"}},
            BadSetting,
            r"trainer\.evolve: lbfgs has no population",
        ),
        ({"kind": "evolino", "evolve": {"kind": "adam"}}, BadSetting, r"trainer\.evolve: adam has no population"),
        (
            {"kind": "evolino", "evolve": {"kind": "ridge"}},
            BadSetting,
            r"trainer\.evolve: ridge solves read-outs itself",
        ),
        (
            {"kind": "evolino", "evolve": {"kind": "memetic", "evolve": {"kind": "evolino"}}},
            BadSetting,
            r"trainer\.evolve: memetic solves read-outs itself",
        ),
        (
            {"kind": "islands", "trainer": {"kind": "memetic"}},
            BadSetting,
            r"trainer\.trainer\.0: memetic is no population trainer; use one such as cma_es",
        ),
        ({"kind": "islands", "trainer": []}, BadSetting, r"trainer\.trainer: .*at least 1 item"),
        ({"kind": "islands", "count": 1}, BadSetting, r"trainer\.count: must be at least 2"),
        (
            {"kind": "islands", "trainer": [{"kind": "snes"}, {"kind": "snes", "sigma": 0}]},
            BadSetting,
            r"trainer\.trainer\.1\.sigma: ",
        ),
        ({"kind": "islands", "trainer": [{"kind": "snes"}] * 3, "count": 2}, EvornnError, "3 trainers for 2 islands"),
        ({"kind": "ridge", "ridge": -1}, BadSetting, r"trainer\.ridge: "),
        ({"kind": "sgd", "learnig_rate": 1}, UnknownName, "did you mean 'learning_rate'"),
        ({"kind": "memetic", "evolve": {"kind": "cma_ess"}}, UnknownName, r"trainer\.evolve .*did you mean 'cma_es'"),
        ({"kind": "memetic", "evolve": {"kind": ["adam"]}}, UnknownName, r"trainer\.evolve"),
        ({"kind": "memetic", "refine": {"kind": "adam", "eps": 0}}, BadSetting, r"trainer\.refine\.eps: "),
        ({"kind": "memetic", "refine": {"kind": "adam", "epz": 1}}, UnknownName, r"setting of trainer\.refine .*'eps'"),
        (
            {"kind": "memetic", "refine": {"learning_rate": 1}},
            EvornnError,
            r"trainer\.refine: expects a mapping with a kind",
        ),
        ({"kind": "memetic", "refine": 3}, BadSetting, r"trainer\.refine: .*instance of Trainer"),
        ({"kind": "memetic", "evolve": {"kind": "adam"}}, BadSetting, r"trainer\.evolve: adam has no population"),
        (
            {"kind": "memetic", "evolve": {"kind": "memetic", "evolve": {"kind": "snes", "sigma": -1}}},
            BadSetting,
            r"trainer\.evolve\.evolve\.sigma: ",
        ),
    ],
)
def test_bad_settings_are_named(spec: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        TRAINERS.build(spec)
    assert "\n" not in str(caught.value)


def test_parts_may_be_trainers_or_specs() -> None:
    memetic = TRAINERS["memetic"]
    parts = {"evolve": {"kind": "snes", "population": 4}, "refine": {"kind": "sgd"}}
    built = memetic(**{name: TRAINERS.build(spec) for name, spec in parts.items()})
    assert memetic(**parts) == built == TRAINERS.build({"kind": "memetic", **parts})
    assert TRAINERS.spec_of(built)["evolve"] == {**TRAINERS.spec_of(TRAINERS.build(parts["evolve"]))}
    with pytest.raises(BadSetting, match=r"Memetic\.elites"):
        memetic(elites=0)
