"""The report of a model: one self-contained HTML page. How good it is, where it fails, what it reads."""

from __future__ import annotations

from dataclasses import asdict

from evornn.experiments.reporting.model_content import ModelContent, table_content
from evornn.experiments.reporting.report import render_page
from evornn.experiments.reporting.text_content import text_content
from evornn.models.report import ModelReport
from evornn.models.saved_model import SavedModel
from evornn.models.text_report import TextReport


def model_content(model: SavedModel, report: ModelReport | TextReport) -> ModelContent:
    """What the report says, with its charts.

    Args:
        model: That gave the answers.
        report: Of `StandaloneModel.report`.
    """
    return text_content(model, report) if isinstance(report, TextReport) else table_content(model, report)


def model_page(model: SavedModel, report: ModelReport | TextReport) -> str:
    """The page; arguments as those of `model_content`."""
    content = model_content(model, report)
    return render_page(
        "model.html",
        [picture for section in content.sections for picture in section.pictures],
        **vars(content),
        provenance={name: value for name, value in asdict(model.provenance).items() if value not in (None, "")},
    )
