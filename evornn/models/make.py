"""Makes a model that stands alone of a trained network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evornn.models.calibration import calibrate, coverage_on
from evornn.models.origin import ModelMetrics, Provenance
from evornn.models.standalone import StandaloneModel
from evornn.networks import NETWORKS
from evornn.networks.network import Network
from evornn.tasks.core.identity import data_digest
from evornn.tasks.core.task import Chart, Data, Sequences
from evornn.training.records import Result


def architecture_of(network: Network) -> dict[str, Any]:
    """The fragment of a spec that builds a network: kind, settings, and the sizes that its architecture has."""
    dimensions = getattr(network.layout, "dimensions", network.layout)  # of a model in torch, of cells
    sizes = {name: getattr(dimensions, name) for name in network.cell.size_fields}
    return {**NETWORKS.spec_of(network.cell), **sizes}


def metrics_of(result: Result, loss: str, chart: Chart | None) -> ModelMetrics:
    """What a training says of its champion.

    Args:
        result: Of the training.
        loss: Its loss.
        chart: Of its task, which knows the errors of persistence; None: no forecasts.
    """
    return ModelMetrics(
        loss=loss,
        valid_loss=result.valid_loss,
        test_loss=result.test_loss,
        score=result.score,
        test_score=result.test_score,
        errors=result.forecast_errors or {},
        naive_errors=() if chart is None else tuple(chart.naive_errors.tolist()),
    )


def make_model(network: Network, result: Result, data: Data) -> StandaloneModel:
    """The model of a training: its champion, metrics and intervals.

    Args:
        network: That was trained.
        result: Of its training.
        data: That it was trained on.
    """
    metrics = metrics_of(result, data.loss, data.chart)
    provenance = Provenance(
        evornn=str(result.environment.get("evornn", "")), data_digest=data_digest(data), note=data.note
    )
    sizes = network.layout.inputs, network.layout.outputs
    model = StandaloneModel(
        architecture_of(network), *sizes, result.genome, data.preparation, metrics, provenance, trusted=True
    )
    return with_calibration(model, data)


def with_calibration(model: StandaloneModel, data: Data) -> StandaloneModel:
    """The model with errors on the validation split, from which its intervals follow, and the share of the test split
    that these hold. Unchanged where the data know no columns, or answers are classes."""
    if model.preparation is None or model.preparation.question == "language":
        return model
    if not isinstance(data.valid, Sequences) or not isinstance(data.test, Sequences):
        return model
    calibration = calibrate(model, data.valid)
    if calibration is None:
        return model
    model = replace(model, calibration=calibration)
    return replace(model, metrics=replace(model.metrics, coverage=coverage_on(model, data.test)))
