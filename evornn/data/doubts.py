"""What a reader could not know: a question, and the options that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evornn.errors import EvornnError


@dataclass(frozen=True)
class Doubt:
    """A question about a file. Reading stops at one that is `blocking`: any answer to it might be wrong."""

    question: str  # with file, line and column where they are known
    answers: tuple[tuple[str, str], ...] = ()  # options, mostly of ReadOptions, and values; empty: nothing to be set
    blocking: bool = False

    def __str__(self) -> str:
        if not self.answers:
            return self.question
        return f"{self.question}: set {', or '.join(f'{option} to {_quoted(value)}' for option, value in self.answers)}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        answers = [{"option": option, "value": value} for option, value in self.answers]
        return {"question": self.question, "answers": answers, "blocking": self.blocking}


class UnansweredDoubt(EvornnError):
    """A doubt that an option would have to answer."""

    def __init__(self, doubt: Doubt, source: str, advice: str = "") -> None:
        text = f"{doubt.question}: {advice}" if advice else str(doubt)
        super().__init__(str(file_error(text, source)))
        self.doubt, self.source, self.advice = doubt, source, advice

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.doubt, self.source, self.advice)


def refuse_doubts(doubts: Sequence[Doubt], source: str) -> None:
    """Raises UnansweredDoubt for the first doubt that is blocking, with the name of the file."""
    for doubt in doubts:
        if doubt.blocking:
            raise UnansweredDoubt(doubt, source)


def file_error(message: str, source: str) -> EvornnError:
    """An error with the name of the file, which a message may have already."""
    if source in message:
        return EvornnError(message)
    return EvornnError(f"{source}{',' if message.startswith(('line ', 'column ')) else ':'} {message}")


def amount(count: int, noun: str) -> str:
    """A number of things in words.

    >>> amount(1, "cell"), amount(20_000, "row")
    ('1 cell', '20,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _quoted(value: str) -> str:
    """A value as it stands in a sentence: signs are quoted."""
    return value if any(character.isalnum() for character in value) else repr(value)
