"""What the tests of the store share: plain data to put into one."""

from __future__ import annotations

from typing import Any

import numpy as np

from evornn.models.origin import ModelMetrics, Provenance
from evornn.store.large_checkpoints import PortionWriter
from evornn.store.records import LogLine, NewModel, NewRun
from evornn.store.store import Store, open_store
from evornn.tasks import TASKS
from evornn.training.records import Checkpoint, Result, Row

SPEC: dict[str, Any] = {"name": "sunspots", "tasks": [{"kind": "sunspots"}], "seeds": 3}


def new_runs(count: int) -> list[NewRun]:
    fragments = {"task": {"kind": "sunspots"}, "network": {"kind": "elman"}, "trainer": {"kind": "adam"}}
    return [NewRun("sunspots", "elman", "adam", fragments, i, {"network_steps": 1000}, i, 17) for i in range(count)]


def row(mark: int, **changes: Any) -> Row:
    values: dict[str, Any] = {name: 1.0 / mark for name in ("best", "mean", "median", "q25", "q75", "valid")}
    values |= {"network_steps": 10 * mark, "evaluations": mark, "updates": mark, "champion_valid": 0.1, "seconds": 0.5}
    return Row(mark=mark, **{**values, **changes})


def checkpoint(mark: int) -> Checkpoint:
    return Checkpoint(mark, {"mean": np.full(4, mark, np.float32)}, {"step": mark, "kind": "adam"})


def result(**changes: Any) -> Result:
    values: dict[str, Any] = {"genome": np.arange(5, dtype=np.float32), "train_loss": 0.3, "valid_loss": 0.2}
    values |= {"test_loss": 0.25, "network_steps": 1000, "evaluations": 100, "updates": 10, "seconds": 2.5}
    values |= {"stopped_by": "budget", "hits": {"0.5": 120}, "environment": {"python": "3.11"}}
    return Result(**{**values, **changes})


def new_model(content: bytes = b"a file", **changes: Any) -> NewModel:
    """What the file says isn't so, which the store doesn't look at."""
    metrics = ModelMetrics("mse", 0.2, 0.25, "R²", 0.5, {"load": {"rmse": 1.5, "r2": None}}, {"load": 0.91}, (2.0,))
    provenance = Provenance(1, 1, "load", "csv", "adam", 7, "0" * 32, "0.1.0", "2026-01-31", "CC BY 4.0")
    about = {"question": "forecast", "targets": ("load",), "horizon": 3, "network": "gru", "parameters": 85}
    return NewModel(content, **{**about, "metrics": metrics, "provenance": provenance, **changes})


def submitted(store: Store, count: int = 1, **options: Any) -> int:
    return store.submit(SPEC, new_runs(count), **options)


def filled(url: str) -> Store:
    """An open store with something in every table that runs write."""
    store = open_store(url)
    submitted(store, 2)
    store.keep_evaluation_data({"0123": TASKS.build({"kind": "adding", "length": 10}).data().evaluation.keepable()})
    store.add_token("ci", ["read"])
    store.set_quota("ci", {"queued": 1000})
    store.count_upload("ci", "series.csv", 1000, lambda name: True)
    store.heartbeat("me", 4, 1)
    claim = store.claim("me")
    assert claim is not None
    store.record(claim.run.id, claim.lease, [row(1, extra={"sigma": 1.0}), row(2)], checkpoint(2), [LogLine("hello")])
    store.finish(claim.run.id, claim.lease, result())
    other = store.claim("me")
    assert other is not None
    writer = PortionWriter(checkpoint(1))
    store.write_portion(other.run.id, other.lease, writer)
    store.record(other.run.id, other.lease, [row(1)], writer.checkpoint)
    store.release(other.run.id, other.lease)
    store.register_model("load", new_model(), run=claim.run.id)
    store.set_model_alias("load", "production")
    return store


def claim_all(url: str, owner: str) -> list[int]:
    """What one process of several does."""
    claimed = []
    with open_store(url) as store:
        while (claim := store.claim(owner)) is not None:
            claimed.append(claim.run.id)
    return claimed
