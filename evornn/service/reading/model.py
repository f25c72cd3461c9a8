"""The champion of a run as a model that stands alone, with what the store and the task's data say of it; and what the
registry of models keeps of a file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evornn.errors import EvornnError
from evornn.service.reading.design import design_of
from evornn.service.reading.evaluation import evaluation_of, load_data_of
from evornn.store.records import NewModel

if TYPE_CHECKING:
    from evornn.models.origin import Provenance
    from evornn.models.saved_model import SavedModel
    from evornn.models.standalone import StandaloneModel
    from evornn.store.records import RunId, StoredRun
    from evornn.store.store import Store

LONGEST = 200  # characters of a name in a file


def load_model(store: Store, run: RunId) -> bytes:
    """The bytes of the file. Raises NotFound until the run has succeeded.

    Its intervals are calibrated on the validation split, so that they are missing where the task's data are."""
    from evornn.models.make import architecture_of, metrics_of
    from evornn.models.standalone import StandaloneModel

    record, result = store.run(run), store.result(run)
    kept = evaluation_of(store, record, with_test=False)
    architecture = architecture_of(design_of(record, kept).build())
    metrics = metrics_of(result, str(record.fragments.get("loss") or kept.loss), kept.chart)
    provenance = _provenance(record, str(result.environment.get("evornn", "")), kept.note)
    model = StandaloneModel(
        architecture, *kept.sizes, result.genome, kept.preparation, metrics, provenance, trusted=True
    )
    return _calibrated(model, record).to_bytes()


def new_model(store: Store, source: RunId | bytes) -> NewModel:
    """The champion of a run, or a file, for the registry. Nothing of it is run. Raises NotFound until the run has
    succeeded, EvornnError for a file that is no model."""
    from evornn.models.saved_model import DAMAGED, SavedModel

    content = load_model(store, source) if isinstance(source, int) else source
    model = SavedModel.from_bytes(content)
    network = str(model.architecture.get("kind"))
    names = network, model.metrics.score or "", model.provenance.data_digest or ""
    question, targets, horizon = _question(model)
    if any(len(name) > LONGEST or not name.isprintable() for name in names) or (horizon or 0) > 2**31 - 1:
        raise EvornnError(f"the file {DAMAGED}")
    return NewModel(content, question, targets, horizon, network, len(model.genome), model.metrics, model.provenance)


def _question(model: SavedModel) -> tuple[str | None, tuple[str, ...], int | None]:
    """What a model answers: its question, the columns, and how many rows ahead."""
    if model.preparation is None:
        return None, (), None
    answers, question = model.preparation.answers, model.preparation.question
    return (
        question,
        tuple(dict.fromkeys(answer.column for answer in answers)),
        answers[0].horizon if question == "forecast" else None,
    )


def _calibrated(model: StandaloneModel, run: StoredRun) -> StandaloneModel:
    """With what only the data know: intervals, and the preparation if an earlier version did not keep it."""
    from evornn.models.make import with_calibration

    try:
        data = load_data_of(run)
    except EvornnError:
        return model
    return with_calibration(replace(model, preparation=model.preparation or data.preparation), data)


def _provenance(run: StoredRun, version: str, note: str) -> Provenance:
    from evornn.models.origin import Provenance

    when = "" if run.finished is None else datetime.fromtimestamp(run.finished, UTC).date().isoformat()
    return Provenance(
        run=run.id,
        job=run.job,
        experiment=run.experiment,
        task=run.task,
        trainer=run.trainer,
        seed=run.seed,
        data_digest=run.data_digest,
        evornn=version,
        trained=when,
        note=note,
    )
