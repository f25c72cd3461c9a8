"""The network of a person who takes torch alone: `torch.nn.LSTM`, a linear layer, Adam, early stopping."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.references.parts import Candidate, Set
from benchmarks.references.scores import Answers, validation_loss
from evornn.kernels.losses import step_loss
from evornn.tasks.core.task import Data, Sequences


class Model(nn.Module):
    """Inputs [B, T, I] → outputs [B, T, O]."""

    def __init__(self, inputs: int, units: int, outputs: int) -> None:
        super().__init__()
        self.lstm, self.readout = nn.LSTM(inputs, units, batch_first=True), nn.Linear(units, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.readout(self.lstm(x)[0])
        return outputs


def train(data: Data, one: Set, candidate: Candidate, seed: int) -> tuple[Model, float]:
    """A model and its validation loss: on the same windows, for as many updates as the budget pays a gradient trainer,
    validated as often, and stopped by the same rule."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # as evornn's runs have
    model = Model(data.sizes[0], candidate.network["units"], data.sizes[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=candidate.trainer["learning_rate"])
    batch, split = candidate.trainer["batch"], data.train
    assert isinstance(split, Sequences)
    updates = one.steps // (3 * min(batch, len(split)) * split.inputs.shape[1])
    per_mark = max(updates // one.budget["marks"], 1)
    best, kept, waiting, done = float("inf"), model.state_dict(), 0, 0
    while done < updates and waiting < one.budget["patience"]:
        for _ in range(per_mark):
            done += 1
            _update(model, optimizer, split, batch, data.loss)
        loss = validation_loss(data, predict(model, data.valid))
        waiting = 0 if loss < best else waiting + 1
        if loss < best:
            best, kept = loss, {name: values.clone() for name, values in model.state_dict().items()}
    model.load_state_dict(kept)
    return model, best


def _update(model: Model, optimizer: torch.optim.Adam, split: Sequences, batch: int, loss: str) -> None:
    rows = torch.randperm(len(split))[:batch].numpy()
    x, y, mask = (torch.from_numpy(np.ascontiguousarray(v[rows])) for v in (split.inputs, split.targets, split.mask))
    optimizer.zero_grad()
    step_loss(loss)(model(x), y)[mask].mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


@torch.no_grad()
def predict(model: Model, split: Sequences) -> np.ndarray:
    """[B, T, O]."""
    return model(torch.from_numpy(np.ascontiguousarray(split.inputs))).numpy()


def answer(data: Data, one: Set, candidate: Candidate, seed: int) -> Answers:
    """Trained and asked for the test split."""
    start = perf_counter()
    outputs = predict(train(data, one, candidate, seed)[0], data.test)
    return Answers.of(data, outputs, perf_counter() - start)
