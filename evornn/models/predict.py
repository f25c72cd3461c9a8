"""Answers of a model for a table, in original units, part by part: memory doesn't grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Mask
from evornn.data.features import forget_before
from evornn.data.preparation import OutputColumn, Preparation
from evornn.data.scaling import Doubles
from evornn.data.table import Column, Table
from evornn.errors import EvornnError
from evornn.models.conformal import half_widths
from evornn.models.rows import Positions, TimeOrder, carry_forward, group_rows, portions, read_rows
from evornn.models.units import Source, fill_previous, sources, to_answers, to_inputs

if TYPE_CHECKING:
    from evornn.models.saved_model import SavedModel

NUMBERS = 2**22  # in the inputs and outputs of one call of the network: 16 MiB
BATCH = 256  # sequences of one call


def predict(model: SavedModel, table: Table, ahead: int | None, coverage: float | None) -> Table:
    """See `StandaloneModel.predict`."""
    if ahead is not None:
        return predict_next(model, table, ahead, coverage)
    if model.own_preparation.question in ("classify", "regress"):
        table = sort_groups(model.own_preparation, table)
    return concatenate(list(predict_parts(model, iter([table]), coverage)))


def predict_parts(model: SavedModel, parts: Iterator[Table], coverage: float | None) -> Iterator[Table]:
    """See `StandaloneModel.predict_parts`."""
    preparation, widths = model.own_preparation, half_widths(model, coverage)
    if _needs_everything(model):
        parts = iter([concatenate(list(parts))])
    predictor = PREDICTORS[preparation.question](model)
    count = 0
    for table in parts:
        if len(table):
            yield from (_finish(preparation, part, widths) for part in predictor.feed(table) if len(part.answers))
        count += len(table)
    yield from (_finish(preparation, part, widths) for part in predictor.end() if len(part.answers))
    if not predictor.has_answered:
        raise EvornnError(_too_short(preparation, count))


def predict_next(model: SavedModel, table: Table, ahead: int, coverage: float | None) -> Table:
    """Forecasts beyond the end of each group: `ahead` rows for each."""
    preparation = model.own_preparation
    if preparation.question != "forecast":
        raise EvornnError("only a forecast goes on beyond the end of the data: leave next out")
    if ahead < 1:
        raise EvornnError(f"next: must be at least 1, got {ahead}")
    groups, window = group_rows(preparation, table), preparation.window or 1
    rows = read_rows(preparation, table, groups, open_end=True)
    ends = {name: _last_window(preparation, rows[group], window) for name, group in groups.items()}
    for name, end in ends.items():
        if len(end) < window:
            raise EvornnError(f"{table.source}: {_of_group(name)}{_too_short(preparation, len(end))}")
        _check_known_ahead(preparation, table, name, end)
    values = np.concatenate(
        [continue_forecasts(model.for_group(name), end[None], ahead) for name, end in ends.items()]
    )  # [B, ahead, G]
    names = np.repeat(np.array(list(groups), object), ahead)
    head = [Column(preparation.group, "text", names)] if preparation.group else []
    head.append(Column("ahead", "number", np.tile(np.arange(1.0, ahead + 1), len(groups))))
    half = _half_widths_ahead(half_widths(model, coverage), ahead)
    for k, answer in enumerate(preparation.answers):
        width = None if half is None else np.tile(half[k], len(groups))
        head += _number_columns(answer.name, values[:, :, k].ravel(), width)
    return Table(tuple(head), table.source)


def continue_forecasts(model: SavedModel, rows: Doubles, ahead: int) -> Doubles:
    """Forecasts beyond the last row: direct ones to the horizon, then on from the model's own.

    Args:
        model: A forecast.
        rows: [B, T, C] the last `window` rows.
        ahead: Rows to forecast.

    Returns:
        [B, ahead, G] in original units.

    Raises:
        EvornnError: They reach beyond the horizon, and the network reads what it doesn't forecast.
    """
    preparation, parts = model.own_preparation, list[Doubles]()
    horizon = preparation.answers[0].horizon
    if ahead > horizon:
        check_recursive(preparation)
    answered, known = [answer.column for answer in preparation.answers], sources(preparation)
    for _ in range(0, ahead, horizon):
        inputs = forget_before(preparation.features, to_inputs(preparation, rows))
        outputs = run_network(model, inputs)[:, -1]
        answers = to_answers(preparation, outputs, rows[:, -1])
        parts.append(answers.reshape(len(rows), -1, horizon).swapaxes(1, 2))  # [B, horizon, G]
        if len(parts) * horizon < ahead:
            new = parts[-1][:, :, [answered.index(source.column) for source in known]]
            new[:, :, [k for k, source in enumerate(known) if not source.is_given]] = np.nan
            rows = fill_previous(preparation, np.concatenate([rows, new], axis=1))[:, horizon:]
    return np.concatenate(parts, axis=1)[:, :ahead]


def check_recursive(preparation: Preparation) -> None:
    """Raises EvornnError if forecasts can't be continued from themselves, since the network reads other columns."""
    horizon = preparation.answers[0].horizon
    if preparation.answers[0].level is not None:
        raise EvornnError(
            f"quantiles beyond the horizon of {horizon} don't follow from those before: ask for {horizon} at most, or "
            "train with a longer horizon"
        )
    if others := unforecast_columns(preparation):
        raise EvornnError(
            f"the model forecasts {horizon} {'row' if horizon == 1 else 'rows'} ahead, and reads columns that it "
            f"doesn't forecast ({', '.join(others)}): ask for {horizon} at most, or train with a longer horizon"
        )


def unforecast_columns(preparation: Preparation) -> list[str]:
    """What the network reads and doesn't forecast: other columns, rows ahead, the calendar."""
    answered = {answer.column for answer in preparation.answers}
    others = [s.name for s in sources(preparation) if s.is_given and (s.column not in answered or s.ahead or s.cycle)]
    return list(dict.fromkeys(others))


def _check_known_ahead(preparation: Preparation, table: Table, name: str, end: Doubles) -> None:
    """Raises EvornnError if what a network reads of later rows is not there for the last window of a group."""
    known = zip(sources(preparation), end.T, strict=True)
    lacking = [source for source, values in known if source.ahead > 0 and np.isnan(values).any()]
    if lacking and preparation.missing != "mask":
        columns = ", ".join(dict.fromkeys(source.column for source in lacking))
        raise EvornnError(
            f"{table.source}: {_of_group(name)}{columns} must be known {max(s.ahead for s in lacking)} rows ahead: add "
            "these rows, without what is to be forecast"
        )


def _last_window(preparation: Preparation, rows: Doubles, window: int) -> Doubles:
    """[T, C] the last rows [N, C] of a group in which all that is forecast is known."""
    answered = {answer.column for answer in preparation.answers}
    places = [k for k, source in enumerate(sources(preparation)) if source == Source(source.column)]
    targets = [k for k in places if sources(preparation)[k].column in answered]
    known = np.flatnonzero(~np.isnan(rows[:, targets]).all(axis=1)) if targets else np.arange(len(rows))
    end = int(known[-1]) + 1 if len(known) else 0
    return rows[max(0, end - window) : end]


def run_network(model: SavedModel, inputs: Floats, mask: Mask | None = None) -> Floats:
    """[B, T, I] → outputs [B, T, O]. What follows the last step of a mask [B, T] is padding, which a network that reads
    the future must know."""
    outputs: Floats = model.network.predict(model.genome[None], np.ascontiguousarray(inputs), mask=mask)[0]
    return outputs


def forecast_windows(model: SavedModel, rows: Doubles) -> Doubles:
    """Forecasts [N − window + 1, O] at each of N consecutive rows [N, C] that ends a full window."""
    preparation, window = model.own_preparation, model.own_preparation.window or 1
    if len(rows) < window:
        return np.zeros((0, model.outputs))
    inputs = to_inputs(preparation, fill_previous(preparation, rows))
    windows = np.lib.stride_tricks.sliding_window_view(inputs, window, axis=0).swapaxes(1, 2)  # [B, T, I]
    size = max(1, NUMBERS // (window * (model.inputs + model.outputs)))
    parts = (forget_before(preparation.features, windows[part]) for part in portions(len(windows), size))
    outputs = [run_network(model, part)[:, -1] for part in parts]
    return to_answers(preparation, np.concatenate(outputs), carry_forward(rows)[window - 1 :])


def _are_complete(preparation: Preparation, rows: Doubles) -> NDArray[np.bool_]:
    """[N − window + 1] whether the window that ends at each row has all values, those known ahead included."""
    window = preparation.window or 1
    if len(rows) < window:
        return np.zeros(0, np.bool_)
    if preparation.missing == "mask":
        return np.ones(len(rows) - window + 1, np.bool_)
    given = [k for k, source in enumerate(sources(preparation)) if source.is_given]
    gaps = np.concatenate([[0], np.cumsum(np.isnan(rows[:, given]).any(axis=1))])
    return np.asarray(gaps[window:] == gaps[:-window])


class Part:
    """Answers [K, O], and the columns that say whose they are."""

    def __init__(self, head: list[Column], answers: Doubles, source: str) -> None:
        self.head, self.answers, self.source = head, answers, source


class Predictor(Protocol):
    """Answers questions of one kind, part by part."""

    has_answered: bool

    def __init__(self, model: SavedModel) -> None: ...

    def feed(self, table: Table) -> Iterator[Part]:
        """Further rows of the table."""

    def end(self) -> Iterator[Part]:
        """What is known only at the end."""


class ForecastPredictor:
    """A forecast at each row that ends a full window. Keeps the last rows of each group."""

    def __init__(self, model: SavedModel) -> None:
        self.order = TimeOrder(model.own_preparation)
        self.model, self.tails, self.count, self.has_answered = model, dict[str, Doubles](), 0, False

    def feed(self, table: Table) -> Iterator[Part]:
        preparation = self.model.own_preparation
        groups = group_rows(preparation, table)
        self.order.check(table, groups)
        rows = read_rows(preparation, table, groups, open_end=True)
        answers = np.full((len(table), self.model.outputs), np.nan)
        is_known = np.zeros(len(table), bool)
        for name, group in groups.items():
            own = np.concatenate([self.tails.get(name, rows[:0]), rows[group]])
            forecasts = forecast_windows(self.model.for_group(name), own)
            known = group[len(group) - len(forecasts) :]
            answers[known], is_known[known] = forecasts, _are_complete(preparation, own)
            self.tails[name] = own[len(own) - min(len(own), (preparation.window or 1) - 1) :]
        self.has_answered |= bool(is_known.any())
        head = _row_columns(preparation, table, self.count)
        self.count += len(table)
        yield Part([_select(column, is_known) for column in head], answers[is_known], table.source)

    def end(self) -> Iterator[Part]:
        return iter(())


class LabelPredictor:
    """An answer at each row. Keeps the network's state of each group."""

    def __init__(self, model: SavedModel) -> None:
        self.order = TimeOrder(model.own_preparation)
        self.model, self.states, self.count, self.has_answered = model, dict[str, Any](), 0, False

    def feed(self, table: Table) -> Iterator[Part]:
        preparation = self.model.own_preparation
        groups = group_rows(preparation, table)
        self.order.check(table, groups)
        rows = read_rows(preparation, table, groups)
        inputs, outputs = to_inputs(preparation, rows), np.empty((len(rows), self.model.outputs), np.float32)
        for name in [name for name in groups if name in self.states or not self.model.network.cell.causal]:
            group = groups.pop(name)
            outputs[group] = self._run([name], inputs[group][None])[0]
        for names in _batches(groups):
            self._run_together({name: groups[name] for name in names}, inputs, outputs)
        head = _row_columns(self.model.own_preparation, table, self.count)
        self.count, self.has_answered = self.count + len(table), True
        yield Part(head, to_answers(self.model.own_preparation, outputs, rows), table.source)

    def end(self) -> Iterator[Part]:
        return iter(())

    def _run_together(self, groups: dict[str, Positions], inputs: Floats, outputs: Floats) -> None:
        """New groups side by side, from the shortest on: each is left out from its end on."""
        names, begin = sorted(groups, key=lambda name: len(groups[name])), 0
        while names:
            end = len(groups[names[0]])
            part = np.stack([groups[name][begin:end] for name in names])  # [B, T] rows
            outputs[part] = self._run(names, inputs[part])
            names, begin = [name for name in names if len(groups[name]) > end], end

    def _run(self, names: Sequence[str], inputs: Floats) -> Floats:
        """Inputs [B, T, I] of groups → outputs [B, T, O]; their states go on."""
        network, genome = self.model.network, self.model.genome[None]
        if not network.cell.causal:
            return np.asarray(network.predict(genome, inputs)[0])
        known = [self.states[name] for name in names if name in self.states]
        outputs, state = network.predict(genome, inputs, state=_stack(known) if known else None, return_state=True)
        self.states |= {name: _member(state, k) for k, name in enumerate(names)}
        return np.asarray(outputs[0])


def _stack(states: Sequence[Any]) -> Any:
    """States of single sequences → the state of a batch, per layer name → [P, B, size]."""
    return [
        {name: np.concatenate([layer[name] for layer in layers], axis=1) for name in layers[0]}
        for layers in zip(*states, strict=True)
    ]


def _member(state: Any, k: int) -> Any:
    """The state of one sequence of a batch."""
    return [{name: values[:, k : k + 1].copy() for name, values in layer.items()} for layer in state]


def _batches(groups: dict[str, Positions]) -> Iterator[list[str]]:
    """At most BATCH groups of similar lengths."""
    names = sorted(groups, key=lambda name: len(groups[name]))
    return (names[part] for part in portions(len(names), BATCH))


class SequencePredictor:
    """One answer for each group, from its last step. Keeps the rows of the group that the file is in."""

    def __init__(self, model: SavedModel) -> None:
        self.order = TimeOrder(model.own_preparation)
        self.model, self.has_answered, self.source = model, False, ""
        self.open: dict[str, list[Doubles]] = {}
        self.closed: set[str] = set()

    def feed(self, table: Table) -> Iterator[Part]:
        preparation, self.source = self.model.own_preparation, table.source
        groups = group_rows(preparation, table)
        self.order.check(table, groups)
        rows = read_rows(preparation, table, groups)
        for name, group in groups.items():
            if name in self.closed or (np.ptp(group) != len(group) - 1):
                raise table.cell_error(
                    preparation.group or "", int(group[0]), f"the rows of {name!r} are not together: sort the file"
                )
            self.open.setdefault(name, []).append(rows[group])
        *complete, _ = [name for name in self.open if name not in groups] + list(groups)
        yield from self._answer(complete)

    def end(self) -> Iterator[Part]:
        yield from self._answer(list(self.open))

    def _answer(self, names: Sequence[str]) -> Iterator[Part]:
        sequences = [np.concatenate(self.open.pop(name)) for name in names]
        self.closed |= set(names)
        for part in portions(len(names), BATCH):
            self.has_answered = True
            group = self.model.own_preparation.group
            head = [Column(group, "text", np.array(names[part], object))] if group else []
            yield Part(head, answer_sequences(self.model, sequences[part]), self.source)


def answer_sequences(model: SavedModel, sequences: Sequence[Doubles]) -> Doubles:
    """Answers [K, O] at the ends of K sequences [T, C]; those of equal lengths are computed together."""
    outputs = np.empty((len(sequences), model.outputs), np.float32)
    order = sorted(range(len(sequences)), key=lambda k: len(sequences[k]))
    for length, members in groupby(order, lambda k: len(sequences[k])):
        same = list(members)
        size = max(1, NUMBERS // (length * (model.inputs + model.outputs)))
        for part in portions(len(same), size):
            batch = to_inputs(model.own_preparation, np.stack([sequences[k] for k in same[part]]))
            outputs[same[part]] = run_network(model, batch)[:, -1]
    return to_answers(model.own_preparation, outputs, np.stack([rows[-1] for rows in sequences]))


PREDICTORS: dict[str, type[Predictor]] = {
    "forecast": ForecastPredictor,
    "label": LabelPredictor,
    "classify": SequencePredictor,
    "regress": SequencePredictor,
}


def sort_groups(preparation: Preparation, table: Table) -> Table:
    """The rows of each group together, groups in the order of their first rows."""
    if preparation.group is None or not len(table):
        return table
    order = np.concatenate([np.sort(rows) for rows in group_rows(preparation, table).values()])
    lines = table.lines[order] if len(table.lines) else table.lines
    return Table(tuple(_select(column, order) for column in table.columns), table.source, lines)


def concatenate(tables: list[Table]) -> Table:
    """Parts of a table, one below the other."""
    if len(tables) == 1:
        return tables[0]
    lines = np.concatenate([table.lines for table in tables]) if tables else np.zeros(0, np.int64)
    columns_of_all = zip(*(table.columns for table in tables), strict=True)
    return Table(tuple(_join(parts) for parts in columns_of_all), tables[0].source if tables else "", lines)


def _join(parts: Sequence[Column]) -> Column:
    """A column of several parts. Categories may differ from part to part."""
    first = parts[0]
    if first.kind != "category" or all(part.categories == first.categories for part in parts):
        return Column(first.name, first.kind, np.concatenate([part.values for part in parts]), first.categories)
    names = tuple(sorted({name for part in parts for name in part.categories}))
    moved = [np.array([*(names.index(name) for name in part.categories), -1])[part.values] for part in parts]
    return Column(first.name, "category", np.concatenate(moved), names)


def answer_table(preparation: Preparation, answers: Doubles, widths: Doubles | None) -> Table:
    """Answers [K, O] as columns, with intervals of half the widths [G, S]."""
    return _finish(preparation, Part([], answers, ""), widths)


def _finish(preparation: Preparation, part: Part, widths: Doubles | None) -> Table:
    """Answers as columns, after those that say whose they are."""
    made, start = list(part.head), 0
    for k, answer in enumerate(preparation.answers):
        own = part.answers[:, start : start + answer.width]
        start += answer.width
        if answer.categories:
            made += _category_columns(answer, own)
            continue
        for step in range(answer.horizon):
            name = f"{answer.name}+{step + 1}" if preparation.question == "forecast" else answer.name
            width = None if widths is None else np.full(len(own), widths[k, step])
            made += _number_columns(name, own[:, step], width)
    return Table(tuple(made), part.source)


def _category_columns(answer: OutputColumn, probabilities: Doubles) -> list[Column]:
    chosen = np.where(np.isnan(probabilities).any(axis=1), -1, probabilities.argmax(axis=1))
    shares = [
        Column(f"{answer.column}={name}", "number", probabilities[:, k]) for k, name in enumerate(answer.categories)
    ]
    return [Column(answer.column, "category", chosen, answer.categories), *shares]


def _number_columns(name: str, values: Doubles, width: Doubles | None) -> list[Column]:
    made = [Column(name, "number", values)]
    if width is not None:
        made += [Column(f"{name}_low", "number", values - width), Column(f"{name}_high", "number", values + width)]
    return made


def _half_widths_ahead(widths: Doubles | None, ahead: int) -> Doubles | None:
    """[G, S] → [G, ahead], infinite beyond what was calibrated."""
    if widths is None:
        return None
    more = max(0, ahead - widths.shape[1])
    return np.pad(widths, ((0, 0), (0, more)), constant_values=np.inf)[:, :ahead]


def _row_columns(preparation: Preparation, table: Table, before: int) -> list[Column]:
    """Group, time or number of each row."""
    head = [table.column(preparation.group)] if preparation.group else []
    if preparation.time in table.names and preparation.time is not None:
        return [*head, table.column(preparation.time)]
    return [*head, Column("row", "number", np.arange(before + 1.0, before + len(table) + 1))]


def _select(column: Column, rows: NDArray[Any]) -> Column:
    offsets = None if column.offsets is None else column.offsets[rows]
    return Column(column.name, column.kind, column.values[rows], column.categories, offsets)


def _needs_everything(model: SavedModel) -> bool:
    """Whether parts of a table must be put together first: missing values to fill in from rows far away, or a network
    that reads the future."""
    is_filled = model.own_preparation.missing in ("forward_fill", "interpolate")
    is_ahead = any(feature.ahead for feature in model.own_preparation.features)
    return is_filled or is_ahead or (model.own_preparation.question == "label" and not model.network.cell.causal)


def _too_short(preparation: Preparation, count: int) -> str:
    if preparation.question != "forecast":
        return "no rows: give at least one"
    return f"{count} rows, and a forecast reads {preparation.window}: give more rows"


def _of_group(name: str) -> str:
    return f"group {name!r} has " if name else ""
