"""The form of a spec: kinds from the catalog, their settings, and the spec that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import dash_mantine_components as dmc
import yaml
from dash import html
from dash.development.base_component import Component

from evornn.errors import EvornnError
from evornn.experiments.catalog import CATALOGS, Entry, entries
from evornn.experiments.yaml import PlainLoader

PARTS = {"tasks": "Tasks", "networks": "Networks", "trainers": "Trainers"}
DEFAULT_KINDS = {"tasks": ["sines"], "networks": ["lstm"], "trainers": ["cma_es", "adam"]}
MAX_LENGTH = 10_000  # characters of a setting


@dataclass(frozen=True)
class Setting:
    """An input of the form: the part and kind that it belongs to, and its text."""

    part: str
    kind: str
    name: str
    text: str


def kinds(part: str) -> Any:
    """A choice of kinds. Their names come from the catalog, without importing them."""
    return dmc.MultiSelect(
        id={"type": "kinds", "part": part}, label=PARTS[part], data=sorted(CATALOGS[part]), value=DEFAULT_KINDS[part],
        searchable=True, hidePickedOptions=True,
    )  # fmt: skip


def settings(part: str, chosen: Sequence[str], given: Iterable[Setting]) -> list[Component]:
    """Inputs for the settings of the chosen kinds.

    Args:
        part: "tasks", "networks" or "trainers".
        chosen: Kinds.
        given: Inputs so far, whose texts are kept.
    """
    known = {(s.part, s.kind, s.name): s.text for s in given}
    return [_fieldset(part, kind, known) for kind in chosen if kind in CATALOGS[part]]


def spec(
    name: str, chosen: Mapping[str, Sequence[str]], given: Iterable[Setting], seeds: Any, steps: Any
) -> dict[str, Any]:
    """The spec as plain data.

    Args:
        name: Name of the experiment.
        chosen: Part → kinds.
        given: Inputs of settings; an empty one keeps its default.
        seeds: Number of seeds.
        steps: Budget in network steps.

    Raises:
        EvornnError: A text is not valid YAML.
    """
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for setting in given:
        if setting.text.strip():
            values.setdefault((setting.part, setting.kind), {})[setting.name] = value(setting)
    parts = {part: [{"kind": kind, **values.get((part, kind), {})} for kind in chosen.get(part, ())] for part in PARTS}
    return {"name": name, **parts, "seeds": seeds, "budget": {"steps": steps}}


def value(setting: Setting) -> Any:
    """Parse `8`, `0.1`, `true`, `[1, 2]`, `{kind: adam}` or text. Raises EvornnError."""
    try:
        return yaml.load(setting.text[:MAX_LENGTH], PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise EvornnError(
            f"{setting.kind}.{setting.name}: write a number, a text, [a, list] or {{a: mapping}}"
        ) from None


def field_of(path: str, chosen: Mapping[str, Sequence[str]]) -> tuple[str, str, str] | None:
    """The input that the path of an error refers to.

    >>> field_of("trainers.0.population", {"trainers": ["cma_es"]})
    ('trainers', 'cma_es', 'population')
    """
    part, _, rest = path.partition(".")
    index, _, name = rest.partition(".")
    listed = chosen.get(part, ())
    if not index.isdecimal() or int(index) >= len(listed) or not name:
        return None
    return part, listed[int(index)], name.split(".")[0]


def _fieldset(part: str, kind: str, known: Mapping[tuple[str, str, str], str]) -> Component:
    entry = _entry(part, kind)
    inputs = [
        dmc.TextInput(
            id={"type": "setting", "part": part, "kind": kind, "name": name},
            label=name.replace("_", " "), placeholder=_default_text(default), value=known.get((part, kind, name), ""),
            required=default == "required", debounce=400,
        )
        for name, default in entry.settings.items()
    ]  # fmt: skip
    if not inputs:
        return html.Fieldset([html.Legend(kind), html.P("No settings.", className="muted")])
    return html.Fieldset([html.Legend(kind, title=entry.summary), html.Div(inputs, className="settings")])


def _default_text(default: Any) -> str:
    """A default as the user would write it."""
    if default is None:
        return "not set"
    text: str = yaml.safe_dump(default, default_flow_style=True, width=1000).strip()
    return text.removesuffix("...").strip()


@cache
def _entry(part: str, kind: str) -> Entry:
    return next(entry for entry in entries(kind) if entry.group == part)
