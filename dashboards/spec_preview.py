"""Preview of a spec on the page Submit: its parsed text, its cost, and the input that an error refers to."""

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
    """Parse the text of a spec. Raises EvornnError."""
    if len(text.encode()) > YAML_LIMIT:
        raise EvornnError(f"larger than {YAML_LIMIT:,} bytes, the limit of a spec here")
    data = parse(text, "spec")
    check_storable(data)
    return data


def costs(estimate: Estimate) -> Component:
    """The cost of a spec."""
    fewest, most = estimate.parameters
    return facts(
        {
            "runs": f"{estimate.runs:,}",
            "parameters per network": f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}",
            "network steps in total": number(estimate.network_steps),
            "computing time in total": "unknown: no similar run has finished" if estimate.seconds is None
            else f"about {duration(estimate.seconds)} on one core",
        }
    )  # fmt: skip


def mark_errors(
    error: EvornnError, kinds: Mapping[str, Sequence[str]], ids: Sequence[Any], parts: Sequence[Any]
) -> Any:
    """Place an error at the input that it refers to, if there is one.

    Args:
        error: The error.
        kinds: Part → chosen kinds.
        ids: Ids of the inputs of settings.
        parts: Ids of the choices of kinds.

    Returns:
        A message or None for each of `ids`, and for each of `parts`.
    """
    where = form.field_of(error.field, kinds) if isinstance(error, BadSetting) else None
    text = error.problem if isinstance(error, BadSetting) else None
    input_errors = [text if where == (one["part"], one["kind"], one["name"]) else None for one in ids]
    above = error.field.partition(".")[0] if isinstance(error, BadSetting) and where is None else None
    return input_errors, [text if one["part"] == above else None for one in parts]


def make_settings(texts: Sequence[str | None], ids: Sequence[Mapping[str, str]]) -> list[Setting]:
    """The inputs of settings with their texts."""
    return [Setting(one["part"], one["kind"], one["name"], text or "") for text, one in zip(texts, ids, strict=True)]


def kinds_by_part(
    kinds: Sequence[Sequence[str] | None], parts: Sequence[Mapping[str, str]]
) -> dict[str, Sequence[str]]:
    """Part → chosen kinds."""
    return {one["part"]: names or [] for names, one in zip(kinds, parts, strict=True)}


def decode_upload(contents: str) -> str:
    """The text of an uploaded file. Raises EvornnError."""
    try:
        return b64decode(contents.partition(",")[2]).decode("utf-8")
    except (ValueError, UnicodeDecodeError):
        raise EvornnError("not a text file in UTF-8: choose a YAML or JSON spec") from None
