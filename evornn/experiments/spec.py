"""Specs: tasks × networks × trainers × seeds under one budget, as plain data. Every fragment is a constructor call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import BeforeValidator

from evornn.catalog import is_import_path
from evornn.errors import EvornnError, UnknownName, short_repr
from evornn.experiments.ranges import refuse_ranges
from evornn.experiments.text import MAX_LENGTH, check_line
from evornn.experiments.yaml import check_plain
from evornn.networks import NETWORKS, Architecture
from evornn.settings import BadSetting, as_dict, build, names, settings
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS
from evornn.training.budget import Budget
from evornn.training.regularisation import NO_REGULARISATION, Regularisation

SEEDS = "must be a number of seeds, or a list of different ones from 0 to 2⁶³ − 1"


@settings
class Resources:
    """The resources of one run. More threads and more shards change no bit of the result."""

    cpus: Annotated[int, Ge(1)] = 1
    gpus: Annotated[float, Ge(0)] = 0.0  # above 0, the network is computed on CUDA
    shards: Annotated[int, Ge(1), Le(10_000)] = 1  # parts of a large population, each with so many CPUs and GPUs
    backend: Literal["auto", "simd", "torch"] = "auto"  # the run's environment records which one was used

    @property
    def device(self) -> str:
        """Torch's name of the device."""
        return "cuda" if self.gpus else "cpu"


@settings
class StartFrom:
    """A warm start from the champion of an earlier run. The initial distribution is centred on the champion, and its
    standard deviation is multiplied by `spread`."""

    run: Annotated[int, Ge(1)]
    spread: Annotated[float, Gt(0)] = 0.1


@settings
class NetworkSize:
    """The settings that all architectures share, as far as their `size_fields` name them."""

    units: Annotated[int, Ge(1)] = 8
    layers: Annotated[int, Ge(1), Le(1_000)] | None = None  # None: what is usual for the architecture, mostly 1
    initial_state: Literal["zero", "learned"] = "zero"


def _check_seed_type(seeds: Any) -> Any:
    if isinstance(seeds, bool) or not isinstance(seeds, (int, float, list)):
        raise ValueError(SEEDS)
    return seeds


@settings
class Experiment:
    """A whole spec. `seeds: 5` means the seeds 0…4."""

    name: Annotated[str, Len(1, MAX_LENGTH)]
    tasks: list[dict[str, Any]]
    networks: list[dict[str, Any]]
    trainers: list[dict[str, Any]]
    seeds: Annotated[int | list[int], BeforeValidator(_check_seed_type)]
    budget: Budget
    loss: str | None = None  # overrides the tasks' own; may be a function, my_package.my_losses:pinball
    regularisation: Regularisation | None = None  # of the training loss
    resources: Resources = Resources()
    start_from: StartFrom | None = None

    @property
    def seed_list(self) -> list[int]:
        """All seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)


@dataclass(frozen=True)
class RunPlan:
    """One run of an experiment: its labels, and the fragments that build it."""

    task: str  # label
    network: str
    trainer: str
    fragments: dict[str, Any]  # task, network, trainer, loss, regularisation, resources, start_from
    seed: int
    budget: dict[str, Any]
    position: int


MOST_RUNS = 100_000  # of a job
LARGEST_SEED = 2**63 - 1
PARTS: dict[str, type[Any]] = {
    "budget": Budget,
    "regularisation": Regularisation,
    "resources": Resources,
    "start_from": StartFrom,
}
FORMATS = {
    "budget": "a number of network steps, or a mapping like {steps: 1_000_000, marks: 50}",
    "regularisation": "a mapping like {weight_decay: 1e-4}",
    "resources": "a mapping like {cpus: 2}",
    "start_from": "a mapping like {run: 3}",
}


def parse_spec(data: Mapping[str, Any], own_code: bool | Collection[str] = True) -> Experiment:
    """Parse and validate a spec; every fragment is built once.

    Args:
        data: The spec as plain data.
        own_code: Whether kinds may be classes outside evornn, `my_package.my_cell:MyCell`, or which. They are imported,
            so a server allows none, or only those that its operator has listed.

    Raises:
        EvornnError: The spec is wrong. The message names the field and the nearest known name.
    """
    check_plain(data, "spec")
    refuse_ranges(data)
    if "tuning" in data:
        raise BadSetting(
            "tuning", "is for `evornn tune`; to run without tuning, remove it and write ranges as one value"
        )
    for field in ("name", "tasks", "networks", "trainers", "seeds", "budget"):
        if field not in data and not set(data) - set(names(Experiment)):
            raise BadSetting(field, "is missing from the spec")
    spec = build(Experiment, build_parts(data), "spec")
    if own_code is not True:
        for part in ("tasks", "networks", "trainers"):
            _refuse_places(getattr(spec, part), part, own_code or ())
        _refuse_places([{"kind": spec.loss}], "loss", own_code or ())
    _check(spec)
    return spec


def build_parts(data: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The spec with budget and resources built, so that errors name the whole path. `budget: 1e6` means its steps."""
    data = dict(data)
    if isinstance(data.get("budget"), (int, float)) and not isinstance(data["budget"], bool):
        data["budget"] = {"steps": data["budget"]}
    for field, kind in PARTS.items():
        if isinstance(data.get(field), Mapping):
            data[field] = build(kind, dict(data[field]), where + field)
        elif data.get(field) is not None and not isinstance(data[field], kind):
            raise BadSetting(where + field, f"must be {FORMATS[field]}, got {short_repr(data[field])}")
    return data


def plan(experiment: Experiment) -> list[RunPlan]:
    """All runs in the order in which they are queued: seed by seed, so that comparisons fill up evenly."""
    tasks, networks, trainers = _labelled_parts(experiment)
    common, budget = common_fragments(experiment), as_dict(experiment.budget)
    fragments = {
        (t, n, m): {"task": tasks[t], "network": networks[n], "trainer": trainers[m], **common}
        for t, n, m in product(tasks, networks, trainers)
    }
    combinations = product(experiment.seed_list, fragments.items())
    # The runs of a combination share their fragments: a hundred thousand seeds take little more memory than one.
    return [RunPlan(t, n, m, part, seed, budget, k) for k, (seed, ((t, n, m), part)) in enumerate(combinations)]


def _labelled_parts(experiment: Experiment) -> list[dict[str, dict[str, Any]]]:
    """Label → fragment, of tasks, networks and trainers. Raises BadSetting."""
    return [label_fragments(getattr(experiment, part)) for part in ("tasks", "networks", "trainers")]


def count_runs(experiment: Experiment) -> int:
    """How many runs `plan` makes."""
    seeds = experiment.seeds if isinstance(experiment.seeds, int) else len(experiment.seeds)
    return seeds * prod(len(part) for part in (experiment.tasks, experiment.networks, experiment.trainers))


def common_fragments(experiment: Experiment) -> dict[str, Any]:
    """The fragments that all runs have in common."""
    regularisation, start_from = experiment.regularisation, experiment.start_from
    return {
        "loss": experiment.loss,
        **({} if regularisation in (None, NO_REGULARISATION) else {"regularisation": as_dict(regularisation)}),
        "resources": as_dict(experiment.resources),
        "start_from": None if start_from is None else as_dict(start_from),
    }


def split_network(fragment: Mapping[str, Any], where: str = "network") -> tuple[Architecture, dict[str, Any]]:
    """`{kind: lstm, units: 8, forget_bias: 0}` → architecture with its settings, and its sizes. Raises EvornnError."""
    sizes = {key: fragment[key] for key in names(NetworkSize) if key in fragment}
    rest = {key: value for key, value in fragment.items() if key not in sizes}
    kind = rest.get("kind")
    if isinstance(kind, str) and (kind in NETWORKS or is_import_path(kind)):
        architecture = NETWORKS[kind]
        known = [*architecture.size_fields, *names(architecture)]
        for key in fragment:
            if key not in ("kind", *known):
                raise UnknownName(f"setting of {where}", key, known)
    network, size = NETWORKS.build(rest, where), as_dict(build(NetworkSize, sizes, where))
    return network, {name: size[name] for name in network.size_fields}


def label_fragments(fragments: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Label → fragment without label. The default label is the kind, with the settings that differ where kinds repeat.

    >>> list(label_fragments([{"kind": "lstm", "units": 4}, {"kind": "lstm", "units": 8}, {"kind": "gru"}]))
    ['lstm units=4', 'lstm units=8', 'gru']
    """
    by_label: dict[str, dict[str, Any]] = {}
    for fragment in fragments:
        same = [other for other in fragments if other.get("kind") == fragment.get("kind") and "label" not in other]
        differences = [k for k in fragment if any(other.get(k) != fragment[k] for other in same)]
        default_label = " ".join([str(fragment["kind"]), *(f"{k}={fragment[k]}" for k in differences)])
        label = str(fragment.get("label", default_label))
        if label in by_label:
            raise EvornnError(f"{label!r} is in the spec twice: remove one, or give each its own label")
        check_line("label", label)
        by_label[label] = {k: v for k, v in fragment.items() if k != "label"}
    return by_label


def check_fragment(part: str, fragment: Mapping[str, Any], where: str, own_code: bool | Collection[str] = True) -> None:
    """Build one fragment to check it.

    Args:
        part: "tasks", "networks" or "trainers".
        fragment: The fragment.
        where: Its path in the spec, for messages.
        own_code: As in `parse_spec`.

    Raises:
        EvornnError: The fragment is wrong.
    """
    if own_code is not True:
        _refuse_places(fragment, where, own_code or ())
    fragment = {key: value for key, value in fragment.items() if key != "label"}
    if part == "networks":
        split_network(fragment, where)
    else:
        (TASKS if part == "tasks" else TRAINERS).build(fragment, where)


def _check(experiment: Experiment) -> None:
    check_line("name", experiment.name)
    for part in ("tasks", "networks", "trainers"):
        if not getattr(experiment, part):
            raise BadSetting(part, "is empty: list at least one")
        for k, fragment in enumerate(getattr(experiment, part)):
            check_fragment(part, fragment, f"{part}.{k}")
    _check_seeds(experiment)
    if experiment.loss is not None:
        from evornn.networks.loss import load_loss  # imports torch

        load_loss(experiment.loss)
    _labelled_parts(experiment)


def _refuse_places(fragment: Any, where: str, allowed: Collection[str]) -> None:
    for place, kind in _kinds(fragment, where):
        if is_import_path(kind) and kind not in allowed:
            raise BadSetting(place, f"{short_repr(kind)} is code of your own: run it on your machine, evornn run")


def _kinds(fragment: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Paths and values of all settings that may name code, in a fragment and its nested fragments."""
    if isinstance(fragment, Mapping):
        yield from ((f"{where}.{name}", fragment.get(name)) for name in ("kind", "environment"))
        for name, value in fragment.items():
            yield from _kinds(value, f"{where}.{name}")
    elif isinstance(fragment, list):
        for k, value in enumerate(fragment):
            yield from _kinds(value, f"{where}.{k}")


def _check_seeds(experiment: Experiment) -> None:
    values = [experiment.seeds - 1] if isinstance(experiment.seeds, int) else experiment.seeds
    if not values or len(set(values)) < len(values) or not 0 <= min(values) <= max(values) <= LARGEST_SEED:
        raise BadSetting("seeds", SEEDS)
    if (runs := count_runs(experiment)) > MOST_RUNS:
        raise BadSetting("seeds", f"would make {runs:,} runs, and a job has at most {MOST_RUNS:,}: use fewer")
