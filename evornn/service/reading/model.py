"""The champion of a run as a model that stands alone, with what the store and the task's data say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evornn.errors import EvornnError
from evornn.service.reading.design import design_of
from evornn.service.reading.evaluation import evaluation_of, load_data_of

if TYPE_CHECKING:
    from evornn.models.saved_model import ModelMetrics, Provenance
    from evornn.models.standalone import StandaloneModel
    from evornn.store.records import RunId, StoredRun
    from evornn.store.store import Store
    from evornn.tasks.core.task import EvaluationData


def load_model(store: Store, run: RunId) -> bytes:
    """The bytes of the file. Raises NotFound until the run has succeeded.

    Its intervals are calibrated on the validation split, so that they are missing where the task's data are."""
    from evornn.models.make import architecture_of
    from evornn.models.standalone import StandaloneModel

    record, genome = store.run(run), store.champion(run)
    kept = evaluation_of(store, record, with_test=False)
    architecture = architecture_of(design_of(record, kept).build())
    about = _metrics(record, kept), _provenance(store, record, kept)
    model = StandaloneModel(architecture, *kept.sizes, genome, kept.preparation, *about, trusted=True)
    return _calibrated(model, record).to_bytes()


def _calibrated(model: StandaloneModel, run: StoredRun) -> StandaloneModel:
    """With what only the data know: intervals, and the preparation if an earlier version did not keep it."""
    from evornn.models.make import with_calibration

    try:
        data = load_data_of(run)
    except EvornnError:
        return model
    return with_calibration(replace(model, preparation=data.preparation), data)


def _metrics(run: StoredRun, kept: EvaluationData) -> ModelMetrics:
    from evornn.models.saved_model import ModelMetrics

    return ModelMetrics(
        loss=str(run.fragments.get("loss") or kept.loss),
        valid_loss=run.valid_loss,
        test_loss=run.test_loss,
        score=run.score,
        test_score=run.test_score,
        errors=run.forecast_errors or {},
        naive_errors=() if kept.chart is None else tuple(kept.chart.naive_errors.tolist()),
    )


def _provenance(store: Store, run: StoredRun, kept: EvaluationData) -> Provenance:
    from evornn.models.saved_model import Provenance

    when = "" if run.finished is None else datetime.fromtimestamp(run.finished, UTC).date().isoformat()
    return Provenance(
        run=run.id,
        job=run.job,
        experiment=run.experiment,
        task=run.task,
        trainer=run.trainer,
        seed=run.seed,
        data_digest=run.data_digest,
        evornn=str(store.result(run.id).environment.get("evornn", "")),
        trained=when,
        note=kept.note,
    )
