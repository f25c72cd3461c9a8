"""What `run.predict` and `result.predict` say: answers to a table of one's own, or a network's outputs for arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evornn.errors import EvornnError
from evornn.models.frames import to_frame

if TYPE_CHECKING:
    from evornn.arrays import Genome
    from evornn.models.standalone import StandaloneModel
    from evornn.networks.network import Network


class Trained(Protocol):
    """A network with its champion."""

    @property
    def network(self) -> Network:
        """The architecture."""

    @property
    def genome(self) -> Genome:
        """[n] the champion."""

    @property
    def model(self) -> StandaloneModel:
        """Both with what is known of columns and scaling."""


def answer(trained: Trained, source: Any, next: int | None, coverage: float | None) -> Any:
    """A frame of answers in original units for a table; outputs for arrays.

    Args:
        trained: A run, or the result of a training.
        source: What `StandaloneModel.predict` takes, such as a pandas frame; or inputs [B, T, I] or [T, I] as the
            network reads them, scaled.
        next: Of a forecast: rows beyond the end of each series, instead of a forecast at every row.
        coverage: Also the limits that hold the truth with this probability.

    Returns:
        A frame (`StandaloneModel.predict` says which rows and columns it has), or outputs [B, T, O] or [T, O].

    Raises:
        EvornnError: The task has no columns, one is missing or of another kind, or shapes don't fit.
    """
    if isinstance(source, (np.ndarray, list)) or hasattr(source, "detach"):
        return _outputs(trained, source, next is not None or coverage is not None)
    if trained.model.preparation is None:
        raise EvornnError("the task is not about a table: give inputs [B, T, I], as in run.data.test.inputs")
    return to_frame(trained.model.predict(source, next=next, coverage=coverage))


def _outputs(trained: Trained, source: Any, is_asked_for_more: bool) -> Any:
    if is_asked_for_more:
        raise EvornnError("next and coverage need columns: give a frame or a file instead of an array")
    inputs = np.asarray(source, np.float32)
    batch = inputs[None] if inputs.ndim == 2 else inputs
    outputs = trained.network.predict(trained.genome[None], batch)[0]
    return outputs[0] if inputs.ndim == 2 else outputs
