"""What the page for submitting makes of what was written: a spec, its cost, and which input an error is about."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from dash.development.base_component import Component

from evornn.dashboards import form
from evornn.dashboards.components import duration, facts
from evornn.dashboards.form import Setting
from evornn.errors import EvornnError
from evornn.experiments.analysis.narrative import number
from evornn.experiments.yaml import parse
from evornn.service.api.bodies import YAML_LIMIT, check_storable
from evornn.service.estimate import Estimate
from evornn.settings import BadSetting


def read(text: str) -> dict[str, Any]:
    """A spec that somebody wrote here. Raises EvornnError."""
    if len(text.encode()) > YAML_LIMIT:
        raise EvornnError(f"larger than {YAML_LIMIT:,} bytes, which a spec may have here")
    data = parse(text, "spec")
    check_storable(data)
    return data


def costs(estimate: Estimate) -> Component:
    fewest, most = estimate.parameters
    return facts(
        {
            "runs": f"{estimate.runs:,}",
            "parameters of a network": f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}",
            "network steps in all": number(estimate.network_steps),
            "computing time in all": "not known: no like run has ended" if estimate.seconds is None
            else f"about {duration(estimate.seconds)} on one core",
        }
    )  # fmt: skip


def mark_errors(
    error: EvornnError, kinds: Mapping[str, Sequence[str]], ids: Sequence[Any], parts: Sequence[Any]
) -> Any:
    """The error at the input it is about, where there is one."""
    where = form.field_of(error.field, kinds) if isinstance(error, BadSetting) else None
    text = error.problem if isinstance(error, BadSetting) else None
    input_errors = [text if where == (one["part"], one["kind"], one["name"]) else None for one in ids]
    above = error.field.partition(".")[0] if isinstance(error, BadSetting) and where is None else None
    return input_errors, [text if one["part"] == above else None for one in parts]


def make_settings(texts: Sequence[str | None], ids: Sequence[Mapping[str, str]]) -> list[Setting]:
    return [Setting(one["part"], one["kind"], one["name"], text or "") for text, one in zip(texts, ids, strict=True)]


def kinds_by_part(
    kinds: Sequence[Sequence[str] | None], parts: Sequence[Mapping[str, str]]
) -> dict[str, Sequence[str]]:
    return {one["part"]: names or [] for names, one in zip(kinds, parts, strict=True)}


def decode_upload(contents: str) -> str:
    """What an uploaded file holds. Raises EvornnError."""
    try:
        return b64decode(contents.partition(",")[2]).decode("utf-8")
    except (ValueError, UnicodeDecodeError):
        raise EvornnError("not a text file in UTF-8: choose a YAML or JSON spec") from None
