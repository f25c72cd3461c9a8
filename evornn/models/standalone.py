"""A model that stands alone: predict, evaluate and stream with one .safetensors file, in original units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from evornn import files
from evornn.cards import card
from evornn.data.table import Table
from evornn.models.formats import SUFFIX
from evornn.models.frames import read_table, to_frame
from evornn.models.saved_model import SavedModel

if TYPE_CHECKING:
    from pandas import DataFrame

    from evornn.models.importance import OnProgress
    from evornn.models.report import ModelReport
    from evornn.models.stream import Stream
    from evornn.models.text_report import TextReport

Text: TypeAlias = "Table | str | bytes"  # what models answer to with a Table, and
Rows: TypeAlias = "DataFrame | Path"  # with a frame
Source: TypeAlias = "Text | Rows"


@dataclass(frozen=True, eq=False)
class StandaloneModel(SavedModel):
    """A trained network with all that it takes to use it on a table, or on a text.

    `predict`, `evaluate`, `stream` and `generate` need a preparation; without one (tasks that know no columns)
    `network` computes the network's own numbers.
    """

    def __repr__(self) -> str:
        return f"<StandaloneModel {self._question()}: {self.architecture['kind']} {self.inputs}→{self.outputs}>"

    def _repr_html_(self) -> str:
        m = self.metrics
        facts: dict[str, Any] = {"network": f"{self.architecture['kind']}, {len(self.genome):,} parameters"}
        facts |= {"validation loss": m.valid_loss, "test loss": m.test_loss, m.score or "score": m.test_score}
        errors = {f"{name} of {of}": value for of, own in m.errors.items() for name, value in own.items()}
        return card(f"model: {self._question()}", {**facts, **errors})

    def _question(self) -> str:
        if self.preparation is None:
            return "numbers of a network"
        return f"{self.preparation.question} {', '.join(one.column for one in self.preparation.answers)}"

    @overload
    def predict(self, table: Text, *, next: int | None = ..., coverage: float | None = ...) -> Table: ...
    @overload
    def predict(self, table: Rows, *, next: int | None = ..., coverage: float | None = ...) -> DataFrame: ...
    def predict(self, table: Source, *, next: int | None = None, coverage: float | None = None) -> Any:
        """Answers for a table, in original units; or how probable each symbol of a text is.

        Args:
            table: With the columns of the preparation: a pandas frame, the `Path` of a file, or a Table. Of a model of
                a text: the text.
            next: Of a forecast: so many rows beyond the end of each group, instead of a forecast at every row.
            coverage: Also columns `_low` and `_high` of intervals that hold the truth with this probability.

        Returns:
            A frame for a frame or a file, else a Table. Of a forecast: a row for each one that has `window` rows to
            read, with columns `load+1`, `load+2`, …, or for `next` a row for each step ahead. Classes or numbers of
            sequences: a row for each group; of steps: a row for each one. A text: a row for each symbol, with the bits
            of its probability and the most probable symbol, given all before; symbols that training didn't have are
            `<unknown>`, as they were there.

        Raises:
            EvornnError: A column is missing or is of another kind, a value is missing, or too few rows are there.
        """
        from evornn.models.predict import predict
        from evornn.models.text import predict_text

        if isinstance(table, str | bytes):
            return predict_text(self, table)
        answers = predict(self, self._read(table), next, coverage)
        return answers if isinstance(table, Table) else to_frame(answers)

    def _read(self, source: Any, with_answers: bool = False) -> Table:
        return source if isinstance(source, Table) else read_table(self.own_preparation, source, with_answers)

    def generate(self, prompt: str | bytes = "", *, next: int = 200, temperature: float = 1.0, seed: int = 0) -> str:
        """Go on with a text, symbol by symbol, each drawn by the probabilities that the model gives it.

        Args:
            prompt: What the model reads first; if it is empty, the text begins as after a line break (words: after a
                full stop).
            next: How many symbols to add.
            temperature: By which logits are divided: below 1 bolder, above 1 more random; 0: always the most probable
                symbol.
            seed: Of the drawing; the same seed gives the same text.

        Returns:
            What follows the prompt. Symbols that training didn't have are never drawn.

        Raises:
            EvornnError: The model is not one of a text, or a value is out of range.
        """
        from evornn.models.text import generate

        return generate(self, prompt, next, temperature, seed)

    def predict_parts(self, parts: Iterator[Table], *, coverage: float | None = None) -> Iterator[Table]:
        """`predict` for a table that doesn't fit into memory: parts of its rows in, answers out as soon as they are
        known. Rows of a group must follow each other, unless the question is a forecast."""
        from evornn.models.predict import predict_parts

        return predict_parts(self, parts, coverage)

    def evaluate(self, table: Source) -> dict[str, dict[str, float | None]]:
        """Answer → measure → value on a table that has the true answers: RMSE, MAE, MASE and R² of numbers;
        accuracy, balanced accuracy, macro F1, ROC AUC and log-loss of classes. On a text: cross-entropy in nats, bits
        with their 95 % interval, perplexity, all per symbol; accuracy, the share of unknown symbols. Raises the same as
        `predict`."""
        from evornn.models.evaluate import evaluate
        from evornn.models.text import evaluate_text, split, text_preparation

        if isinstance(table, str | bytes):
            return evaluate_text(self, split(text_preparation(self), table))
        return evaluate(self, self._read(table, with_answers=True))

    @overload
    def report(
        self, table: Table | Rows, *, repeats: int = 10, seed: int = 0, on_progress: OnProgress | None = None
    ) -> ModelReport: ...

    @overload
    def report(
        self, table: str | bytes, *, repeats: int = 10, seed: int = 0, on_progress: OnProgress | None = None
    ) -> TextReport: ...

    def report(
        self, table: Source, *, repeats: int = 10, seed: int = 0, on_progress: OnProgress | None = None
    ) -> ModelReport | TextReport:
        """What to see before trusting the model: confusion, ROC and calibration of classes; residuals, errors and
        coverage by step ahead of numbers; the worst examples; the importance of each input. Of a text: bits and
        perplexity, also by kinds of symbols, calibration, the passages that were expected least, and continuations.
        `evornn.experiments.reporting.model_page` draws it.

        Args:
            table: With the true answers. Of a model of a text: the text.
            repeats: How often each input is shuffled for its importance.
            seed: Of the shuffling, or of the continuations.
            on_progress: Is told what is computed, and the share of all that is done.

        Raises:
            EvornnError: As `predict`; or no true answer is there.
        """
        from evornn.models.report import report
        from evornn.models.text import split, text_preparation
        from evornn.models.text_report import report_text

        if isinstance(table, str | bytes):
            return report_text(self, split(text_preparation(self), table), "the text", seed, on_progress)
        return report(self, self._read(table, with_answers=True), repeats, seed, on_progress)

    def stream(self) -> Stream:
        """The model one row at a time. Raises EvornnError for a network without an equation."""
        from evornn.models.stream import Stream

        return Stream(self)

    def write(self, path: str | Path) -> float | None:
        """Write a file for evornn, .safetensors, or for other programs: .onnx, .py (a torch module), .c, .json.

        Args:
            path: The file; its suffix names the format.

        Returns:
            How far the file is from the network at most, of a format that was run to compare it; None of others.

        Raises:
            EvornnError: The suffix is another one, the network has no equation to write, or the file can't be written.
        """
        if Path(path).suffix == SUFFIX:
            self.save(path)
            return None
        from evornn.models.export import export_model

        return export_model(self, path).difference

    @staticmethod
    def load(path: str | Path, trusted: bool = False) -> StandaloneModel:
        """Read a file.

        Args:
            path: The file.
            trusted: Whether code of one's own that the file names as its network may be imported.

        Raises:
            EvornnError: It can't be read, or is no model.
        """
        return StandaloneModel.from_bytes(files.read(Path(path)), str(path), trusted)
