"""Reports of registered models on data that have the true answers, as a server computes them: bounded, without code
that a model names, in a process of its own. The last ones are kept, by digests of model and data."""

from __future__ import annotations

import hashlib
import json
import pickle
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from evornn.errors import EvornnError
from evornn.service.evaluation_request import EvaluationRequest
from evornn.service.policy import SubmissionPolicy
from evornn.service.predictions import BODY, CACHE, read_given_text, read_rows
from evornn.service.reading.figures import ReportFigures, draw_report
from evornn.service.wire import Evaluated
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.data.table import Table
    from evornn.models.importance import OnProgress
    from evornn.models.report import ModelReport
    from evornn.models.standalone import StandaloneModel
    from evornn.models.text_report import TextReport

MOST_BYTES = 2**26  # of a data set
MOST_KEPT = 16
ELSEWHERE = "download the model, `evornn models download`, and `evornn evaluate` with it"


@dataclass(frozen=True)
class Evaluation:
    """A report as a server keeps it, which has neither torch nor the classes of models: its numbers, its charts for
    pages, and itself for the process that made it."""

    name: str
    version: int
    numbers: dict[str, Any]  # plain data; None for those that are not known
    figures: ReportFigures
    pickled: bytes  # a ModelReport or TextReport; never from outside

    @property
    def reference(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"

    def to_json(self) -> bytes:
        """Its numbers, and whose they are."""
        told = Evaluated(self.name, self.version, self.numbers)
        return json.dumps(vars(told), allow_nan=False, separators=(",", ":")).encode()


def evaluate(
    store: Store, request: EvaluationRequest, policy: SubmissionPolicy, on_progress: OnProgress | None = None
) -> Evaluation:
    """Make a report. Raises NotFound, EvornnError."""
    if on_progress is not None:
        on_progress("reading the data", 0.0)
    version = store.find_model(request.reference)
    model = CACHE.get(version, store.model_file)
    with policy.hide_folder():
        made = report(model, request, policy, on_progress)
    numbers, figures = _finite(made.to_dict()), draw_report(model, made)
    return Evaluation(version.name, version.version, numbers, figures, pickle.dumps(made))


def report(
    model: StandaloneModel, request: EvaluationRequest, policy: SubmissionPolicy, on_progress: OnProgress | None = None
) -> ModelReport | TextReport:
    """The report of a model on what a request names."""
    if model.preparation is not None and model.preparation.question == "language":
        from evornn.models.text import split
        from evornn.models.text_report import report_text

        return report_text(model, split(model.preparation, _read_text(request, policy)), request.source, 0, on_progress)
    table = replace(_read_table(model, request, policy), source=request.source)
    return model.report(table, on_progress=on_progress)


def render(store: Store, evaluation: Evaluation) -> str:
    """The page of `evornn evaluate --report`."""
    from evornn.experiments.reporting.model_page import model_page

    model = CACHE.get(store.find_model(evaluation.reference), store.model_file)
    return model_page(model, pickle.loads(evaluation.pickled))


def key_of(store: Store, request: EvaluationRequest, policy: SubmissionPolicy) -> str:
    """The same for the same version, data and name of the data. Raises NotFound, EvornnError."""
    given: list[Any] = [store.find_model(request.reference).digest, request.source]
    if request.data is not None:
        with _data_file(request.data, policy).open("rb") as file:
            given.append(hashlib.file_digest(file, "sha256").hexdigest())
    else:
        content = request.rows if isinstance(request.rows, bytes) else json.dumps(request.rows).encode()
        given += [request.format, hashlib.sha256(content).hexdigest()]
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()


class Work:
    """An evaluation that is being computed, or has been."""

    def __init__(self) -> None:
        self.part, self.share = "", 0.0  # nothing yet: others come first, or the process starts
        self._done = Event()
        self._evaluation: Evaluation | None = None
        self._error: EvornnError | None = None

    @property
    def is_done(self) -> bool:
        """Whether `result` need not wait."""
        return self._done.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether `result` raises."""
        return self._error is not None

    def result(self) -> Evaluation:
        """Wait for it. Raises what prevented it."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._evaluation is not None
        return self._evaluation

    def tell(self, part: str, share: float) -> None:
        """As `OnProgress`."""
        self.part, self.share = part, share

    def run(self, compute: Callable[[OnProgress], Evaluation]) -> None:
        """Compute it here."""
        try:
            self._evaluation = compute(self.tell)
        except EvornnError as error:
            self._error = error
        except BaseException as error:
            self._error = EvornnError(f"the report can't be made ({type(error).__name__}): try again")
            raise
        finally:
            self._done.set()


class Evaluations:
    """Those that are computed, and the last ones.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most, self._known, self._lock = most, OrderedDict[str, Work](), Lock()

    def start(self, key: str, compute: Callable[[OnProgress], Evaluation]) -> Work:
        """The work of this key; it is begun in a thread unless somebody has asked for the same."""
        with self._lock:
            work = self._known.pop(key, None)
            if work is None or work.has_failed:
                work = Work()
                Thread(target=work.run, args=(compute,), daemon=True).start()
            self._known[key] = work
            while len(self._known) > self.most and (old := self._oldest_done()) is not None:
                del self._known[old]
            return work

    def find(self, key: str) -> Work:
        """Raises EvornnError if it is not kept any more."""
        with self._lock:
            if (work := self._known.get(key)) is None:  # the server was started again, or too many others came
                raise EvornnError("this report is not kept any more: evaluate the model again")
            return work

    def _oldest_done(self) -> str | None:
        return next((key for key, work in self._known.items() if work.is_done), None)


def _read_table(model: StandaloneModel, request: EvaluationRequest, policy: SubmissionPolicy) -> Table:
    from evornn.models.predict import concatenate
    from evornn.models.table_file import read_parts

    if request.data is not None:
        file = _data_file(request.data, policy)
        return concatenate(list(read_parts(file, model.own_preparation, with_answers=True)))
    if not isinstance(request.rows, bytes) or request.format == "json":
        return read_rows(request.rows, model.own_preparation, with_answers=True)
    with tempfile.TemporaryDirectory(prefix="evornn-") as folder:
        file = Path(folder) / (Path(request.name).name or BODY)  # its suffix tells the format
        file.write_bytes(request.rows)
        with SubmissionPolicy(Path(folder)).hide_folder():
            return concatenate(list(read_parts(file, model.own_preparation, with_answers=True)))


def _read_text(request: EvaluationRequest, policy: SubmissionPolicy) -> str | bytes:
    if request.data is not None:
        return _data_file(request.data, policy).read_bytes()
    if isinstance(request.rows, bytes) and request.format == "text":
        return request.rows
    return read_given_text(request.rows, request.format == "csv")


def _data_file(name: str, policy: SubmissionPolicy) -> Path:
    file = policy.resolve_file(name)
    if file.stat().st_size > MOST_BYTES:
        raise EvornnError(f"the data set {name!r} has more than {MOST_BYTES:,} bytes: {ELSEWHERE}")
    return file


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and value - value != 0 else value
