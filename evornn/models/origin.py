"""What a model says of itself: how good it was on test, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelMetrics:
    """How good the model is, on data that it was not trained on. None: not known."""

    loss: str = "mse"
    valid_loss: float | None = None
    test_loss: float | None = None
    score: str | None = None  # name of the task's own measure
    test_score: float | None = None
    errors: dict[str, dict[str, float | None]] = field(default_factory=dict)  # target → rmse, mae, mase, r2 on test
    coverage: dict[str, float] = field(default_factory=dict)  # target → share of test inside of intervals for 90 %
    naive_errors: tuple[float, ...] = ()  # of each target: MAE of persistence on the training rows, which MASE divides


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from."""

    run: int | None = None
    job: int | None = None
    experiment: str = ""
    task: str = ""
    trainer: str = ""
    seed: int | None = None
    data_digest: str | None = None
    evornn: str = ""  # version that trained it
    trained: str = ""  # date
    note: str = ""  # source and licence of the data
