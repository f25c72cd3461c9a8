"""Parses specs with ranges. Each end of each range is checked on its own before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, TypeAlias

from evornn.errors import EvornnError, UnknownName, short_repr
from evornn.experiments import ranges
from evornn.experiments.ranges import KeyPath, Numbers, Range
from evornn.experiments.spec import (
    MOST_RUNS,
    Experiment,
    build_parts,
    check_fragment,
    common_fragments,
    label_fragments,
    parse_spec,
)
from evornn.experiments.tuning.methods import Method, TunableSpec, TuningSettings
from evornn.experiments.yaml import check_plain
from evornn.settings import BadSetting, build
from evornn.training.regularisation import Regularisation

PARTS = {"tasks": "task", "networks": "network", "trainers": "trainer"}
Ranges = dict[str, tuple[KeyPath, Range]]  # "trainer.learning_rate" → its path, and the range
OwnCode: TypeAlias = bool | Collection[str]  # as in `parse_spec`
EXAMPLE = "{from: 1e-4, to: 1e-1, scale: log}"


def parse_tunable_spec(data: Mapping[str, Any], own_code: OwnCode = True) -> TunableSpec:
    """Parse and validate a spec with ranges; `own_code` as in `parse_spec`. Raises EvornnError, which names the field
    and the nearest known name."""
    check_plain(data, "spec")
    rest = {key: value for key, value in data.items() if key != "tuning"}
    if not isinstance(data.get("tuning"), Mapping):
        raise BadSetting("tuning", "is missing from the spec: add it, for example tuning: {trials: 20, seeds: 2}")
    tuning = build(TuningSettings, build_parts(data["tuning"], "tuning."), "tuning")
    fragment_lists = {part: rest[part] for part in PARTS if isinstance(rest.get(part), list)}
    for part, fragments in fragment_lists.items():
        _refuse_names(part, fragments)
    defaults = {part: ranges.fill_defaults(fragments, part) for part, fragments in fragment_lists.items()}
    penalties = rest.get("regularisation")
    if isinstance(penalties, Mapping):
        defaults["regularisation"] = ranges.fill_defaults(penalties, "regularisation")
    default = _default_experiment({**rest, **defaults}, fragment_lists, own_code)
    spaces = {part: _spaces(part, fragment_lists[part], getattr(default, part), own_code) for part in PARTS}
    spec = TunableSpec(default, tuning, _methods(default, spaces, _regularisation(penalties)))
    _check(spec)
    return spec


def _default_experiment(data: dict[str, Any], fragment_lists: Mapping[str, Any], own_code: OwnCode) -> Experiment:
    """The experiment with all settings at their defaults."""
    try:
        return parse_spec(data, own_code)
    except BadSetting as error:
        if any(ranges.dotted_path(path) == error.field for path, _ in ranges.find_ranges(dict(fragment_lists))):
            raise BadSetting(error.field, "has no default: add one to the range, default: VALUE") from None
        raise


def _refuse_names(part: str, fragments: list[Any]) -> None:
    for path, _ in ranges.find_ranges(fragments, (part,)):
        if path[-1] in ranges.NAMES:
            raise BadSetting(ranges.dotted_path(path), f"can't be a range: list each as one of the {part}")


def _spaces(part: str, fragments: list[Any], defaults: list[dict[str, Any]], own_code: OwnCode) -> list[Ranges]:
    """The ranges of each fragment [fragments]."""
    spaces: list[Ranges] = [{} for _ in fragments]
    for k, fragment in enumerate(fragments):
        for path, value in ranges.find_ranges(fragment):
            place = (PARTS[part], *path)
            spaces[k][ranges.dotted_path(place)] = place, _range(part, k, defaults[k], path, value, own_code)
    return spaces


def _regularisation(settings: Any) -> Ranges:
    """Its ranges, which every method has: each is tuned by itself."""
    return {
        ranges.dotted_path(place): (place, _checked_range(value, place, partial(_problem_of_regularisation, place)))
        for place, value in ranges.find_ranges(settings, ("regularisation",))
    }


def _range(
    part: str, k: int, defaults: dict[str, Any], path: KeyPath, value: Mapping[str, Any], own_code: OwnCode
) -> Range:
    place = part, k, *path
    where = ranges.dotted_path(place)

    def problem(of: Any) -> str | None:
        return _problem(part, ranges.set_value(defaults, path, of), f"{part}.{k}", where, own_code)

    return _checked_range(value, place, problem)


def _checked_range(value: Mapping[str, Any], place: KeyPath, problem: Callable[[Any], str | None]) -> Range:
    """Parse a range and check its ends on the setting. If the setting rejects a half, the range is one of integers."""
    where = ranges.dotted_path(place)
    range_ = ranges.parse_range(value, where)
    for end in range_.ends:
        if why := problem(end):
            raise BadSetting(where, f"can't have {short_repr(end)} in its range: {why}")
    if not isinstance(range_, Numbers) or any(end != int(end) for end in range_.ends):
        return range_
    return replace(range_, is_integer=problem(range_.low + 0.5) is not None)


def _problem_of_regularisation(place: KeyPath, value: Any) -> str | None:
    try:
        build(Regularisation, {str(place[-1]): value}, "regularisation")
    except BadSetting as error:
        return error.problem
    return None


def _problem(part: str, fragment: dict[str, Any], name: str, where: str, own_code: OwnCode) -> str | None:
    """Why a setting rejects a value, None if it doesn't. A value that merely doesn't fit the defaults of other settings
    may fit their tuned values, so such errors don't count."""
    try:
        check_fragment(part, fragment, name, own_code)
    except BadSetting as error:
        return error.problem if error.field == where or error.field.startswith(f"{where}.") else None
    except UnknownName:
        raise
    except EvornnError:
        return None
    return None


def _methods(default: Experiment, spaces: Mapping[str, list[Ranges]], common: Ranges) -> tuple[Method, ...]:
    """All (task, network, trainer), in the order of the spec."""
    parts = [list(zip(label_fragments(getattr(default, part)).items(), spaces[part], strict=True)) for part in PARTS]
    return tuple(_method(default, common, *chosen) for chosen in product(*parts))


def _method(default: Experiment, common: Ranges, *parts: tuple[tuple[str, dict[str, Any]], Ranges]) -> Method:
    task, network, trainer = (label for (label, _), _ in parts)
    fragments = dict(zip(PARTS.values(), (fragment for (_, fragment), _ in parts), strict=True))
    places = dict(sorted({**common, **{name: entry for _, space in parts for name, entry in space.items()}}.items()))
    return Method(
        task=task,
        network=network,
        trainer=trainer,
        fragments={**fragments, **common_fragments(default)},
        space={name: part for name, (_, part) in places.items()},
        places={name: path for name, (path, _) in places.items()},
    )


def _check(spec: TunableSpec) -> None:
    if not spec.tunable_methods:
        raise EvornnError(
            f"no setting is a range, so there is nothing to tune: write one as {EXAMPLE}, or use `evornn run`"
        )
    trainers = {method.trainer for method in spec.methods}
    for method in spec.tunable_methods:
        if method.tuned_trainer in trainers:
            raise BadSetting("trainers", f"{method.tuned_trainer!r} is the label of a tuned one: choose another label")
    runs = spec.tuning.trials * spec.tuning.seeds * len(spec.tunable_methods)
    if runs > MOST_RUNS:
        raise BadSetting("tuning.trials", f"would make {runs:,} runs, and {MOST_RUNS:,} are allowed: use fewer")
