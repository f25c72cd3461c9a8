"""The small settings from which the contract tests are made: everything in the catalog has some."""

from __future__ import annotations

from typing import Any

import pytest
from small_specs import ADVICE, OVERRIDES, SIZES, has_setting, small_spec
from trainer_specs import contract_specs

from evornn import settings
from evornn.errors import EvornnError
from evornn.experiments.catalog import CATALOGS
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

ENTRIES = [(group, kind) for group, catalog in CATALOGS.items() for kind in catalog]


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_everything_can_be_built_small(group: str, kind: str) -> None:
    try:
        CATALOGS[group].build(small_spec(CATALOGS[group], kind))
    except EvornnError as error:
        pytest.fail(f"{error}: {ADVICE}")


def test_sizes_are_those_that_a_class_and_its_parts_have() -> None:
    assert small_spec(TRAINERS, "snes") == {"kind": "snes", "population": 8}
    assert small_spec(TRAINERS, "snes", population=5, batch=4, units=3) == {"kind": "snes", "population": 5, "batch": 4}
    assert small_spec(TASKS, "adding") == {"kind": "adding", "train": 40, "valid": 20, "test": 30}
    parts = {"evolve": {"kind": "cma_es", "population": 8}, "refine": {"kind": "adam", "restarts": 2}}
    assert small_spec(TRAINERS, "memetic") == {"kind": "memetic", "every": 2, **parts}
    assert small_spec(TRAINERS, "memetic", refine={"kind": "sgd"})["refine"] == {"kind": "sgd"}
    assert small_spec(TASKS, "csv", targets="rain") == {"kind": "csv", **OVERRIDES["csv"], "targets": "rain"}


def test_a_setting_may_be_a_parts() -> None:
    spec = {"kind": "islands", "trainer": [{"kind": "sgd"}, {"kind": "snes", "batch": None}]}
    assert has_setting(spec, "batch") and has_setting(spec, "trainer") and not has_setting(spec, "population")


def test_each_trainer_is_under_contract_on_all_data_and_on_batches() -> None:
    specs: dict[str, dict[str, Any]] = contract_specs({"snes": {"kind": "snes"}}, batch=3, population=5)
    assert {spec["kind"] for spec in specs.values()} == set(TRAINERS)
    assert specs["snes"] == {"kind": "snes"}
    assert specs["snes, batch"] == {"kind": "snes", "population": 5, "batch": 3}
    assert specs["memetic, batch"]["refine"] == {"kind": "adam", "restarts": 2, "batch": 3}
    assert {name for name, spec in specs.items() if has_setting(spec, "batch")} == {n for n in specs if ", " in n}


def test_sizes_and_overrides_are_of_settings_that_exist() -> None:
    classes = {kind: CATALOGS[group][kind] for group, kind in ENTRIES}
    assert {name for name in SIZES if not any(name in settings.names(cls) for cls in classes.values())} == set()
    for kind, values in OVERRIDES.items():
        assert set(values) <= set(settings.names(classes[kind])), kind
