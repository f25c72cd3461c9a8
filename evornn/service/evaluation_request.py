"""What a report on a registered model is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from evornn.service.predictions import BODY, Rows

Format: TypeAlias = Literal["json", "csv", "text"]


@dataclass(frozen=True)
class EvaluationRequest:
    """What to report on.

    Args:
        reference: NAME (its newest version), NAME@ALIAS or NAME:VERSION.
        rows: Rows with the true answers in original units, or `{"text": …}`; bytes: a file in `format`.
        data: Instead of rows the name of a data set of the server.
        format: Of bytes.
        name: What the report calls the rows.
    """

    reference: str
    rows: Rows | bytes = b""
    data: str | None = None
    format: Format = "json"
    name: str = BODY

    @property
    def source(self) -> str:
        """What the report calls the data."""
        return self.name if self.data is None else self.data
