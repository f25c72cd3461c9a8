"""The report of a model of a text: its numbers are those that a count by hand gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_models import text_model

from evornn.data.options import ReadOptions
from evornn.data.symbols import UNKNOWN
from evornn.errors import EvornnError
from evornn.models.text_report import PORTION, report_text

TEXT = "abc cab\nabba cab? " * 12


def test_numbers_are_those_of_each_symbol() -> None:
    model = text_model()
    report, answers = model.report(TEXT), model.predict(TEXT)
    bits = answers.column("bits").values[1:]
    assert report.measures == model.evaluate(TEXT) and report.answers == len(TEXT) - 1
    assert sum(kind.count for kind in report.kinds) == len(bits) and sum(b.count for b in report.calibration) == len(
        bits
    )
    kinds = {kind.name: kind for kind in report.kinds}
    assert kinds["line breaks"].count == 12 and kinds[UNKNOWN].count == 12  # the question marks
    breaks = np.array([k for k, letter in enumerate(TEXT[1:]) if letter == "\n"])
    assert kinds["line breaks"].bits == pytest.approx(bits[breaks].mean())
    assert np.mean([part.bits for part in report.course]) == pytest.approx(bits.mean(), rel=0.05)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["unit"] == "characters"


def test_the_worst_passages_are_those_that_cost_most() -> None:
    report = text_model().report(TEXT)
    bits = text_model().predict(TEXT).column("bits").values
    worst = report.worst[0]
    start = worst.start - 1
    assert worst.text == TEXT[start : start + 20] and worst.before == TEXT[max(0, start - 40) : start]
    assert worst.bits == pytest.approx(bits[start : start + 20].mean())
    assert worst.bits == pytest.approx(max(bits[k : k + 20].mean() for k in range(1, len(TEXT) - 19, 20)))


def test_continuations_are_what_generate_says() -> None:
    model = text_model()
    for shown in model.report(TEXT, seed=3).continuations:
        assert shown.text == model.generate(shown.prompt, next=200, temperature=shown.temperature, seed=3)
    assert len({shown.temperature for shown in model.report(TEXT).continuations}) == 2


def test_portions_change_nothing_and_progress_is_told() -> None:
    model, told = text_model(), list[tuple[str, float]]()
    symbols = list(TEXT * (2 + PORTION // len(TEXT)))
    report = report_text(model, symbols, "long", on_progress=lambda part, share: told.append((part, share)))
    assert report.measures == model.evaluate("".join(symbols))
    assert len(told) == 2 and told[-1][1] == 1.0


@pytest.mark.parametrize(
    ("one", "names", "text", "kinds"),
    [
        ("word", (UNKNOWN, "the", "1984", ",", "house"), "the house, the 1984 the", {"longer words", "numbers"}),
        ("byte", (UNKNOWN, "97", "32", "195", "169"), "a \xe9 a a", {"other bytes", "spaces", "letters"}),
    ],
)
def test_words_and_bytes_have_kinds(one: str, names: tuple[str, ...], text: str, kinds: set[str]) -> None:
    assert kinds <= {kind.name for kind in text_model(names, one).report(text).kinds}


def test_what_is_too_short_is_refused() -> None:
    with pytest.raises(EvornnError, match="the text has 1 characters: give at least 2"):
        text_model().report("a")
    assert len(text_model().report("ab").worst) == 1
    with pytest.raises(EvornnError, match="give it in ascii"):
        text_model(read=ReadOptions(encoding="ascii")).report(b"\xff")
