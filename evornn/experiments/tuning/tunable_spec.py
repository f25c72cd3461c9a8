"""Reading a spec with ranges. Each end of each range is tried alone before anything is computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

from evornn.errors import EvornnError, UnknownName, shown
from evornn.experiments import ranges
from evornn.experiments.ranges import Numbers, Path, Range
from evornn.experiments.spec import MOST_RUNS, Experiment, check_fragment, experiment, labelled, shared, with_parts
from evornn.experiments.tuning.methods import Method, Tunable, Tuning
from evornn.experiments.yaml import check_plain
from evornn.settings import BadSetting, build

PARTS = {"tasks": "task", "networks": "network", "trainers": "trainer"}
Ranges = dict[str, tuple[Path, Range]]  # "trainer.learning_rate" → where it stands, and the range
OwnCode: TypeAlias = bool | Collection[str]  # as in `experiment`
EXAMPLE = "{from: 1e-4, to: 1e-1, scale: log}"


def tunable(data: Mapping[str, Any], own_code: OwnCode = True) -> Tunable:
    """A validated spec with ranges. Errors name the field and the nearest known name."""
    check_plain(data, "spec")
    rest = {key: value for key, value in data.items() if key != "tuning"}
    if not isinstance(data.get("tuning"), Mapping):
        raise BadSetting("tuning", "is missing from the spec: say how much, for example tuning: {trials: 20, seeds: 2}")
    tuning = build(Tuning, with_parts(data["tuning"], "tuning."), "tuning")
    written = {part: rest[part] for part in PARTS if isinstance(rest.get(part), list)}
    for part, fragments in written.items():
        _refuse_names(part, fragments)
    defaults = {part: ranges.without(fragments, part) for part, fragments in written.items()}
    usual = _usual({**rest, **defaults}, written, own_code)
    spaces = {part: _spaces(part, written[part], getattr(usual, part), own_code) for part in PARTS}
    found = Tunable(usual, tuning, _methods(usual, spaces))
    _check(found)
    return found


def _usual(data: dict[str, Any], written: Mapping[str, Any], own_code: OwnCode) -> Experiment:
    """The experiment with all settings at their defaults."""
    try:
        return experiment(data, own_code)
    except BadSetting as error:
        if any(ranges.dotted(path) == error.field for path, _ in ranges.found(dict(written))):
            raise BadSetting(error.field, "has no default: add one to the range, default: VALUE") from None
        raise


def _refuse_names(part: str, fragments: list[Any]) -> None:
    for path, _ in ranges.found(fragments, (part,)):
        if path[-1] in ranges.NAMES:
            raise BadSetting(ranges.dotted(path), f"can't be a range: list each as one of the {part}")


def _spaces(part: str, written: list[Any], usual: list[dict[str, Any]], own_code: OwnCode) -> list[Ranges]:
    """[fragments] of each its ranges."""
    spaces: list[Ranges] = [{} for _ in written]
    for k, fragment in enumerate(written):
        for path, value in ranges.found(fragment):
            place = (PARTS[part], *path)
            spaces[k][ranges.dotted(place)] = place, _range(part, k, usual[k], path, value, own_code)
    return spaces


def _range(part: str, k: int, usual: dict[str, Any], path: Path, value: Mapping[str, Any], own_code: OwnCode) -> Range:
    """A range whose ends the setting takes. One that takes no half is of whole numbers."""
    where = ranges.dotted((part, k, *path))
    found = ranges.parsed(value, where)
    for end in found.ends:
        if problem := _problem(part, ranges.put(usual, path, end), f"{part}.{k}", where, own_code):
            raise BadSetting(where, f"can't have {shown(end)} in its range: {problem}")
    if not isinstance(found, Numbers) or any(end != int(end) for end in found.ends):
        return found
    half = ranges.put(usual, path, found.low + 0.5)
    return replace(found, whole=_problem(part, half, f"{part}.{k}", where, own_code) is not None)


def _problem(part: str, fragment: dict[str, Any], name: str, where: str, own_code: OwnCode) -> str | None:
    """What a setting says of a value. What only doesn't fit to the defaults of others may fit to what is tried."""
    try:
        check_fragment(part, fragment, name, own_code)
    except BadSetting as error:
        return error.problem if error.field == where or error.field.startswith(f"{where}.") else None
    except UnknownName:
        raise
    except EvornnError:
        return None
    return None


def _methods(usual: Experiment, spaces: Mapping[str, list[Ranges]]) -> tuple[Method, ...]:
    """All (task, network, trainer), in the order of the spec."""
    parts = [list(zip(labelled(getattr(usual, part)).items(), spaces[part], strict=True)) for part in PARTS]
    return tuple(_method(usual, *chosen) for chosen in product(*parts))


def _method(usual: Experiment, *chosen: tuple[tuple[str, dict[str, Any]], Ranges]) -> Method:
    task, network, trainer = (label for (label, _), _ in chosen)
    fragments = dict(zip(PARTS.values(), (fragment for (_, fragment), _ in chosen), strict=True))
    places = dict(sorted((name, found) for _, space in chosen for name, found in space.items()))
    return Method(
        task=task,
        network=network,
        trainer=trainer,
        fragments={**fragments, **shared(usual)},
        space={name: part for name, (_, part) in places.items()},
        places={name: path for name, (path, _) in places.items()},
    )


def _check(found: Tunable) -> None:
    if not found.tuned:
        raise EvornnError(
            f"no setting is a range, so there is nothing to tune: write one as {EXAMPLE}, or use `evornn run`"
        )
    trainers = {method.trainer for method in found.methods}
    for method in found.tuned:
        if method.tuned_trainer in trainers:
            raise BadSetting("trainers", f"{method.tuned_trainer!r} is what a tuned one is called: give another label")
    runs = found.tuning.trials * found.tuning.seeds * len(found.tuned)
    if runs > MOST_RUNS:
        raise BadSetting("tuning.trials", f"would make {runs:,} runs, and {MOST_RUNS:,} are allowed: take fewer")
