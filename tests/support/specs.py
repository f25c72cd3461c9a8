"""A spec whose runs take a moment, changes to it, and mistakes in it with the words of their refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

SMALL_SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "snes", "population": 4}, {"kind": "adam"}],
    "seeds": 2,
    "budget": {"steps": 20_000, "marks": 4},
}


SPEC_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"networks": [{"kind": "elmann"}]}, "unknown network in networks.0 'elmann': did you mean 'elman'?"),
    ({"trainers": [{"kind": "cmaes"}]}, "unknown trainer in trainers.0 'cmaes': did you mean 'cma_es'?"),
    ({"tasks": [{"kind": "sunspot"}]}, "unknown task in tasks.0 'sunspot': did you mean 'sunspots'?"),
    ({"budget": 0}, "budget.steps: must be at least 1, got 0"),
    (
        {"trainers": [{"kind": "cma_es", "population": 1}]},
        "trainers.0.population: must be at least 2, got 1",
    ),
    (
        {"networks": [{"kind": "elman", "units": 300}], "trainers": [{"kind": "cma_es"}]},
        "set covariance: separable or limited_memory",
    ),
    ({"loss": "zero_one"}, "the loss zero_one has no gradient: use an evolutionary trainer"),
    ({"trainers": [{"kind": "snes", "population": 10**9}]}, "1,000,000,000 members"),
    ({"start_from": {"run": 7}}, "no run 7"),
    ({"seeds": []}, "seeds: must be a number of seeds"),
]


def with_changes(**changes: Any) -> dict[str, Any]:
    return {**SMALL_SPEC, **changes}


def write_spec(folder: Path, **changes: Any) -> Path:
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(with_changes(**changes)))
    return file
