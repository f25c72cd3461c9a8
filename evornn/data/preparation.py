"""How columns become what a network reads, and how its outputs become answers in the data's own terms. Fitted on
training rows, kept with the data of a task and with a model that stands alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from evornn.data.options import ReadOptions
from evornn.data.scaling import Transform

Question: TypeAlias = Literal["forecast", "classify", "regress", "label", "language"]
MissingPolicy: TypeAlias = Literal["refuse", "mask", "forward_fill", "interpolate"]


CalendarPart: TypeAlias = Literal["minute", "hour", "weekday", "day", "yearday", "month"]
GroupScale: TypeAlias = tuple[str, float, float]  # a group, its mean and its standard deviation


@dataclass(frozen=True)
class Feature:
    """A column that a network reads: one scaled number, or one input of 0 or 1 for each category.

    `derived` says that not the values are read but something that follows from them: "missing" is 1 where a value
    is missing, else 0; "change" is the difference to the row before; a part of the calendar is the sine and the cosine
    of a time's place in its cycle.
    """

    column: str
    transform: Transform = "none"  # before standardising
    mean: float = 0.0
    std: float = 1.0
    categories: tuple[str, ...] = ()  # empty: a number
    derived: CalendarPart | Literal["", "missing", "change"] = ""
    ahead: int = 0  # rows later, of a column that is known ahead
    scales: tuple[GroupScale, ...] = ()  # where each group has a scale of its own; others have mean and std

    @property
    def cycle(self) -> str:
        """The part of the calendar that it is; empty: none."""
        return self.derived if self.derived in get_args(CalendarPart) else ""

    @property
    def width(self) -> int:
        """How many inputs it is."""
        return 2 if self.cycle else len(self.categories) or 1


@dataclass(frozen=True)
class OutputColumn:
    """A column that a network predicts: `horizon` scaled numbers, or one logit for each category."""

    column: str
    transform: Transform = "none"
    mean: float = 0.0
    std: float = 1.0
    categories: tuple[str, ...] = ()  # empty: a number
    horizon: int = 1  # rows ahead, of a forecast
    difference: bool = False  # outputs are changes from the last known value, in scaled units
    scales: tuple[GroupScale, ...] = ()  # as those of a Feature
    level: float | None = None  # of the quantile that it is; None: it is none

    @property
    def name(self) -> str:
        """Of what is predicted: load, load_q0.9."""
        return self.column if self.level is None else f"{self.column}_q{self.level:g}"

    @property
    def width(self) -> int:
        """How many outputs it is: all steps ahead of the first answer first."""
        return (len(self.categories) or 1) * self.horizon


@dataclass(frozen=True)
class Preparation:
    """Inputs and outputs of a network, in order, with the columns that they stand for."""

    question: Question
    features: tuple[Feature, ...]
    answers: tuple[OutputColumn, ...]
    group: str | None = None  # the column whose values tell sequences apart; None: one sequence
    time: str | None = None  # the column of times; None: rows are in order
    window: int | None = None  # rows that a forecast reads, exactly; None: whole sequences
    missing: MissingPolicy = "refuse"
    loss: str = "mse"
    step: float | None = None  # between two rows, in seconds or what the column counts; None: not known
    read: ReadOptions = field(default_factory=ReadOptions)  # what was said of how to read the file
    lower: bool = False  # of a text: whether capital letters become small ones

    @property
    def is_categorical(self) -> bool:
        """Whether a network reads nothing but one category, which is then looked up instead of multiplied."""
        return len(self.features) == 1 and bool(self.features[0].categories)

    @property
    def point_answers(self) -> tuple[int, ...]:
        """The answers that are held against the truth: of quantiles, those of the level nearest to the median."""
        levels = {answer.level for answer in self.answers if answer.level is not None}
        median = min(levels, key=lambda level: abs(level - 0.5), default=None)
        return tuple(k for k, answer in enumerate(self.answers) if answer.level == median)

    @property
    def is_by_row(self) -> bool:
        """Whether inputs follow from the values of their own row alone, by one scale for all groups. Others need
        `evornn.data.features.encode`, which knows the calendar, gaps, rows ahead and the groups' own scales."""
        return not any(one.derived or one.ahead or one.scales for one in self.features) and not any(
            one.scales for one in self.answers
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Preparation:
        """Of what `to_dict` gave. Raises TypeError or KeyError for another record."""

        def part(kind: Any, values: dict[str, Any]) -> Any:
            scales = tuple((name, mean, std) for name, mean, std in values.get("scales", ()))
            return kind(**{**values, "categories": tuple(values["categories"]), "scales": scales})

        features = tuple(part(Feature, one) for one in record["features"])
        answers = tuple(part(OutputColumn, one) for one in record["answers"])
        read = dict(record.get("read") or {})
        options = ReadOptions(**{**read, **{name: tuple(read[name]) for name in ("names", "missing") if name in read}})
        return cls(**{**record, "features": features, "answers": answers, "read": options})
