"""The champion of a run as a model that stands alone, with what the store and the task's data say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evornn.errors import EvornnError
from evornn.service.reading.design import design_of
from evornn.service.reading.evaluation import evaluation_of, load_data_of

if TYPE_CHECKING:
    from evornn.models.saved_model import Provenance
    from evornn.models.standalone import StandaloneModel
    from evornn.store.records import RunId, StoredRun
    from evornn.store.store import Store


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


def _calibrated(model: StandaloneModel, run: StoredRun) -> StandaloneModel:
    """With what only the data know: intervals, and the preparation if an earlier version did not keep it."""
    from evornn.models.make import with_calibration

    try:
        data = load_data_of(run)
    except EvornnError:
        return model
    return with_calibration(replace(model, preparation=model.preparation or data.preparation), data)


def _provenance(run: StoredRun, version: str, note: str) -> Provenance:
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
        evornn=version,
        trained=when,
        note=note,
    )
