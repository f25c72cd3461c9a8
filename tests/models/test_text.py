"""Models of a text: what they think of each symbol, however it comes, and how they go on."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine
from small_models import LETTERS, small_table, text_model

import evornn as library
from evornn.data.options import ReadOptions
from evornn.data.symbols import UNKNOWN, join_symbols, split_text
from evornn.errors import EvornnError
from evornn.models.standalone import StandaloneModel
from evornn.models.text import TextReader
from evornn.tasks import TASKS

TEXT = "abc cab\nabba cab " * 5


def bits(model: StandaloneModel, text: str) -> np.ndarray[Any, Any]:
    return model.predict(text).column("bits").values


@pytest.mark.parametrize("kind", ["gru", "lstm_peephole", "clockwork", "neural_turing_machine"])
def test_bits_are_those_of_the_network(kind: str) -> None:
    model = text_model(kind=kind)
    codes = [LETTERS.index(symbol) for symbol in TEXT]
    one_hot = np.eye(len(LETTERS), dtype=np.float32)[codes][None]
    logits = model.network.predict(model.genome[None], one_hot)[0, 0].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [-np.log2(before[code]) for before, code in zip(shares, codes[1:], strict=False)]
    answers = model.predict(TEXT)
    assert np.isnan(answers.column("bits").values[0]) and answers.column("likeliest").values[0] == -1
    assert np.allclose(answers.column("bits").values[1:], expected, rtol=1e-4)
    assert answers.column("likeliest").values[1:].tolist() == shares.argmax(axis=1)[:-1].tolist()
    assert answers.column("character").words() == list(TEXT)


@pytest.mark.parametrize("kind", ["gru", "elman", "lstm", "neural_turing_machine"])
def test_the_most_probable_text_is_the_likeliest_symbol_of_each_step(kind: str) -> None:
    model = text_model(kind=kind)
    text = model.generate("abc", next=20, temperature=0)
    likeliest = model.predict("abc" + text).column("likeliest").words()
    assert len(text) == 20
    assert all(a == b or b == UNKNOWN for a, b in zip(text, likeliest[3:], strict=True))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_and_portions_are_read_like_the_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = text_model()
    whole = bits(model, TEXT)
    monkeypatch.setattr("evornn.models.text.NUMBERS", 5 * len(LETTERS))
    reader = TextReader(model)
    parts = [reader.table(list(TEXT[k : k + size])) for k in range(0, len(TEXT), size)]
    assert np.allclose(np.concatenate([part.column("bits").values for part in parts]), whole, rtol=1e-4, equal_nan=True)
    rows = np.concatenate([part.column("row").values for part in parts])
    assert rows.tolist() == list(range(1, len(TEXT) + 1))


def test_texts_are_drawn_by_their_probabilities() -> None:
    model = text_model()
    reader = TextReader(model)
    reader.read(list("ab"))
    shares = np.exp(reader.logits[1:] / 2.0)
    drawn = Counter(model.generate("ab", next=1, temperature=2.0, seed=seed) for seed in range(400))
    for name, share in zip(LETTERS[1:], shares / shares.sum(), strict=True):
        assert drawn[name] / 400 == pytest.approx(share, abs=4 * np.sqrt(share / 400) + 1e-3)
    assert UNKNOWN not in drawn
    same = [model.generate("ab", next=30, seed=5) for _ in range(2)]
    assert same[0] == same[1] != model.generate("ab", next=30, seed=6)
    assert model.generate(next=5, seed=1) == model.generate("\n", next=5, seed=1)


def test_measures_agree_with_each_other() -> None:
    model = text_model()
    measures = model.evaluate(TEXT + "xyz")["character"]
    own = bits(model, TEXT + "xyz")[1:]
    assert measures["bits"] == pytest.approx(own.mean()) and measures["perplexity"] == pytest.approx(2 ** own.mean())
    assert measures["cross_entropy"] == pytest.approx(own.mean() * np.log(2))
    assert measures["bits_low"] < measures["bits"] < measures["bits_high"]  # type: ignore[operator]
    assert measures["unknown"] == pytest.approx(3 / (len(TEXT) + 2))
    assert model.evaluate("abc")["character"]["bits_low"] is None, "too short for an interval"


@pytest.mark.parametrize("unit", ["characters", "words", "bytes"])
def test_a_trained_model_reads_texts_as_its_task_did(unit: str, tmp_path: Path) -> None:
    text = "The cat sat, the Dog ran; the cat (a cat) ate.\n" * 40
    (tmp_path / "a.txt").write_text(text)
    task = {"kind": "language", "path": str(tmp_path / "a.txt"), "unit": unit, "length": 20, "lower": unit != "bytes"}
    data = TASKS.build(task).data()
    network = library.Network("gru", inputs=data.sizes[0], outputs=data.sizes[1], units=8)
    run = library.train(network, data, {"kind": "adam", "learning_rate": 0.03}, seed=0, budget=60_000)
    run.model.save(tmp_path / "a.safetensors")
    model = StandaloneModel.load(tmp_path / "a.safetensors")
    one = unit[:-1]
    here = model.evaluate(text)[one]
    assert here["unknown"] == 0.0 and here["cross_entropy"] < data.baselines[0].test  # type: ignore[operator]
    assert here["bits"] == model.evaluate(text.encode())[one]["bits"]
    assert unit == "bytes" or here["bits"] == model.evaluate("\ufeff" + text.upper())[one]["bits"]
    assert "cat" in model.generate("The cat ", next=60, temperature=0)


def test_words_are_joined_as_people_write_them() -> None:
    text = "The cat's paw (left) is wet, isn't it?"
    assert join_symbols(split_text(text, "words"), "words") == text
    assert join_symbols(split_text("naïve €", "bytes"), "bytes") == "naïve €"
    assert join_symbols(["206"], "bytes") == "�"
    assert split_text("ÄB\r\nc", "characters", lower=True) == ["ä", "b", "\n", "c"]


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"next": 0}, "next: must be at least 1, got 0"),
        ({"temperature": -1.0}, "temperature: must be 0"),
        ({"temperature": float("nan")}, "temperature: must be 0"),
        ({"seed": -1}, "seed: must be at least 0"),
        ({"prompt": b"\xff"}, "the text can't be read"),
    ],
)
def test_bad_values_are_told_in_a_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EvornnError, match=message):
        text_model(read=ReadOptions(encoding="utf-8")).generate(**values)


def test_what_a_model_of_a_text_cannot_do_is_told() -> None:
    model = text_model()
    for call in (model.predict, model.evaluate, model.report):
        with pytest.raises(EvornnError, match="a model of a text reads no tables"):
            call(small_table())
    with pytest.raises(EvornnError, match="the text has 1 characters: give at least 2"):
        model.evaluate("a")
    with pytest.raises(EvornnError, match="the vocabulary has nothing but <unknown>"):
        text_model((UNKNOWN,)).generate()
    with pytest.raises(EvornnError, match="outputs are no numbers"):
        replace(model, genome=np.full_like(model.genome, np.nan)).generate()


@pytest.mark.parametrize(
    ("names", "one"),
    [(("a", "b"), "character"), ((UNKNOWN, "a", "a"), "word"), ((UNKNOWN, "x"), "byte"), (LETTERS, "x")],
)
def test_a_file_whose_vocabulary_is_none_is_refused(names: tuple[str, ...], one: str) -> None:
    with pytest.raises(EvornnError, match="damaged"):
        StandaloneModel.from_bytes(text_model(names, one).to_bytes())


@pytest.mark.parametrize("suffix", [".onnx", ".py", ".c", ".json"])
def test_exports_take_places_in_the_vocabulary_and_give_probabilities(suffix: str, tmp_path: Path) -> None:
    model = text_model()
    difference = model.write(tmp_path / f"text{suffix}")
    assert suffix == ".json" or (difference is not None and difference <= 1e-5)
    if suffix == ".c":
        about = (tmp_path / "text.c").read_text()
        assert r"0: character (0 = <unknown>, 1 = '\n', 2 = ' ', 3 = a, 4 = b, 5 = c)" in about
        assert r"0 to 5: character, probabilities of <unknown>, '\n', ' ', a, b, c" in about


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text_model().save("text.safetensors")
    Path("a.txt").write_text(TEXT)
    Path("latin.txt").write_bytes(b"caf\xe9 \xff")
    return tmp_path


def test_the_command_line_predicts_goes_on_and_evaluates(
    files: Path, evornn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StandaloneModel.load("text.safetensors")
    lines = evornn("predict", "text.safetensors", "a.txt", "--json").out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["character"] for row in rows] == list(TEXT) and rows[0]["bits"] is None
    assert [row["bits"] for row in rows[1:]] == bits(model, TEXT)[1:].tolist()
    options = "--next", "12", "--temperature", "0.5", "--seed", "3", "--prompt", "ab"
    expected = model.generate("ab", next=12, temperature=0.5, seed=3)
    assert evornn("predict", "text.safetensors", *options).out == expected + "\n"
    assert evornn("predict", "text.safetensors", *options, "-o", "more.txt").status == 0
    assert Path("more.txt").read_text() == expected
    after = evornn("predict", "text.safetensors", "a.txt", "--next", "5", "--json").data
    assert after["text"] == model.generate(TEXT, next=5)
    measured = evornn("evaluate", "text.safetensors", "a.txt", "--json").data
    assert measured["measures"] == model.evaluate(TEXT) and measured["symbols"] == len(TEXT)
    assert "bits low" in evornn("evaluate", "text.safetensors", "a.txt").out
    drawn = evornn("evaluate", "text.safetensors", "a.txt", "--report", "a.html", "--json").data
    assert drawn["measures"] == measured["measures"] and len(drawn["continuations"]) == 2
    assert "What it did not expect" in Path("a.html").read_text()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    streamed = evornn("predict", "text.safetensors", "--stream", "--json").out
    own = [json.loads(line)["bits"] for line in streamed.splitlines()]
    assert np.allclose(own[1:], bits(model, TEXT)[1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "text.safetensors"], "give either a FILE or --stream"),
        (["predict", "text.safetensors", "--stream", "--next", "3"], "give either a FILE or --stream"),
        (["predict", "text.safetensors", "a.txt", "--prompt", "a"], "--prompt is what a text goes on from"),
        (["predict", "text.safetensors", "a.txt", "--prompt", "a", "--next", "3"], "give either a FILE or --prompt"),
        (["predict", "text.safetensors", "a.txt", "--coverage", "0.9"], "--coverage: symbols have probabilities"),
        (["predict", "text.safetensors", "none.txt"], "none.txt: no such file"),
        (["predict", "text.safetensors", "latin.txt"], "the model learned from a text in utf-8: give one"),
        (["evaluate", "text.safetensors", "a.txt", "--report", "no/a.html"], "no does not exist: create it first"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(
    words: list[str], message: str, files: Path, evornn: CommandLine
) -> None:
    assert message in evornn.refuses(*words)
