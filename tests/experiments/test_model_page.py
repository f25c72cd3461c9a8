"""The page of a model's report: complete, self-contained, and nothing in it is markup that a file brought."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from small_models import small_model, small_table, text_model

from evornn.experiments.reporting.model_page import model_page
from evornn.models.report import ModelReport
from evornn.models.saved_model import ModelMetrics
from evornn.models.standalone import StandaloneModel


def made(question: str) -> tuple[StandaloneModel, ModelReport]:
    model = small_model(question)
    if question in ("forecast", "regress"):
        errors = np.random.default_rng(0).uniform(0, 9, (40, len(model.own_preparation.answers), 3))
        model = replace(model, calibration=np.sort(errors, axis=0))
    return model, model.report(small_table(rows=120, groups=3), repeats=2)


@pytest.mark.parametrize("question", ["forecast", "classify", "regress"])
def test_a_page_has_all_charts_and_needs_nothing_else(question: str) -> None:
    model, report = made(question)
    page = model_page(model, report)
    boxes = set(re.findall(r'class="chart" id="([^"]+)"', page))
    assert len(boxes) >= 4 and all(f'"{box}": ' in page for box in boxes)
    assert "default-src 'none'" in page and not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="http', page)
    for answer in model.own_preparation.answers:
        assert f"<h2>{answer.column}</h2>" in page
    assert "Worst examples" in page and "What the model reads" in page


def test_a_page_says_first_how_good_the_model_is() -> None:
    model, report = made("regress")
    assert re.search(
        r"quality: answers are off by [\d.e+]+ on average; R² is .* Intervals for 90% hold", model_page(model, report)
    )
    model, report = made("classify")
    assert "answers are right; the most frequent class alone would be right in" in model_page(model, report)


def test_names_from_a_file_are_text() -> None:
    model, report = made("classify")
    (classes,) = report.classes
    hostile = replace(classes, classes=["<script>alert(1)</script>", "b", "c"])
    metrics = ModelMetrics(score="<img src=x onerror=alert(1)>", test_score=1.0)
    page = model_page(replace(model, metrics=metrics), replace(report, source="<b>file</b>", classes=[hostile]))
    assert "<script>alert" not in page and "<img src=x" not in page and "<b>file" not in page


def test_the_page_of_a_text_says_bits_first_and_shows_passages() -> None:
    model = text_model()
    page = model_page(model, model.report("abc cab\nabba <b>cab</b> " * 20))
    assert re.search(r'<p class="key">[\d.]+ bits per character \(95 % interval [\d.]+ to [\d.]+\), perplexity', page)
    for title in ("Measures", "What it expects", "What it did not expect", "How it goes on"):
        assert f"<h2>{title}</h2>" in page
    assert "&lt;b&gt;cab" in page and "<b>cab" not in page
