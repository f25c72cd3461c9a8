"""Tables for people. All text from specs is printed as it is, never interpreted as markup."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from evornn.experiments.text import escape_controls
from evornn.service.progress import duration
from evornn.tasks.core.forecast_errors import LABELS

if TYPE_CHECKING:
    from evornn.experiments.catalog import Entry
    from evornn.experiments.description import ArchitectureSummary
    from evornn.models.evaluate import Measures
    from evornn.service.doctor import Finding
    from evornn.store.records import ModelVersion, Quota, StoredJob, StoredRun, Token
    from evornn.training.records import Result, Row

COLOURS = {"succeeded": "green", "failed": "red", "running": "cyan", "cancelling": "yellow", "cancelled": "yellow"}
COST_FIELDS = ("network_steps", "evaluations", "updates")
RUN_COLUMNS = {  # heading → field
    "run": "id",
    "task": "task",
    "network": "network",
    "trainer": "trainer",
    "seed": "seed",
    "state": "state",
    "n": "parameters",
    "validation": "champion_valid",
    "test": "test_loss",
    "steps": "network_steps",
    "s": "seconds",
}
BARS = "▁▂▃▄▅▆▇█"
MIN_COLUMN_WIDTH = 8  # characters


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table with numbers aligned to the right and text to the left."""
    lines = list(rows)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for k, column in enumerate(columns):
        numeric = bool(lines) and all(isinstance(line[k], (int, float, type(None))) for line in lines)
        grid.add_column(Text(escape_controls(column)), justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        grid.add_row(*(_cell(value) for value in line))
    return grid


@dataclass(frozen=True)
class QueryResult:
    """A query's result: a table, or a block of lines per row if the columns would be too narrow."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if len(self.columns) * MIN_COLUMN_WIDTH <= options.max_width:
            yield table(self.columns, self.rows)
            return
        for row in self.rows:
            grid = Table.grid(padding=(0, 2))
            for column, value in zip(self.columns, row, strict=True):
                grid.add_row(Text(escape_controls(column), style="bold"), _cell(value))
            yield grid
            yield ""


def jobs(records: Sequence[StoredJob]) -> RenderableType:
    """Jobs, one row each."""
    if not records:
        return "no jobs yet: start one with `evornn run SPEC`"
    lines = [(job.id, job.experiment, job.state, _counts(job.counts), _time(job.created)) for job in records]
    return table(("job", "experiment", "state", "runs", "submitted"), lines)


def tokens(records: Sequence[Token]) -> RenderableType:
    """Access tokens, one row each."""
    if not records:
        return "no tokens yet: create one with `evornn token add NAME`"
    columns = ("token", "scope", "created", "last used", "state")
    lines = [
        (t.name, t.scopes[-1], _time(t.created), _time(t.last_used) if t.last_used else "never", _validity(t))
        for t in records
    ]
    return table(columns, lines)


def quotas(records: Sequence[Quota]) -> RenderableType:
    """Quotas of owners, one row each."""
    names = ("queued", "running", "priority", "upload_bytes", "stored_bytes")
    lines = [
        (one.owner or "all others", *("no limit" if (limit := getattr(one, n)) < 0 else f"{limit:,}" for n in names))
        for one in records
    ]
    return table(("user", "queued runs", "at once", "priority", "upload bytes", "stored bytes"), lines)


def models(records: Sequence[ModelVersion]) -> RenderableType:
    """Versions of models, one row each."""
    if not records:
        return "no models yet: keep that of a run with `evornn models register NAME RUN`"
    columns = ("model", "aliases", "question", "answers", "network", "test loss", "run", "registered")
    lines = [
        (
            *(m.reference, ", ".join(m.aliases), m.question or "–", answers_of(m), m.network, m.metrics.test_loss),
            *(run_of(m), _time(m.created)),
        )
        for m in records
    ]
    return table(columns, lines)


def model(version: ModelVersion) -> RenderableType:
    """All about one version of a model."""
    metrics, origin = version.metrics, version.provenance
    facts: dict[str, Any] = {
        "model": version.reference,
        "aliases": ", ".join(version.aliases),
        "question": version.question and f"{version.question} {answers_of(version)}",
        "network": f"{version.network}, {version.parameters:,} parameters",
        "run": run_of(version),
        "trained": " ".join(part for part in (origin.experiment, origin.task, origin.trainer, origin.trained) if part),
        "data": origin.data_digest and f"{origin.data_digest} {origin.note}".strip(),
        "loss": f"{metrics.loss}: valid {_cell(metrics.valid_loss)}, test {_cell(metrics.test_loss)}",
        "score": metrics.score and f"{_cell(metrics.test_score)} {metrics.score}",
    }
    for target, errors in metrics.errors.items():
        named = (f"{LABELS.get(name, name)} {_cell(value)}" for name, value in errors.items())
        facts[f"errors of {target}"] = ", ".join(named)
    held = ", ".join(f"{target} {share:.1%}" for target, share in metrics.coverage.items())
    registered = f"{_time(version.created)}" + (f" by {version.owner}" if version.owner else "")
    facts |= {"90 % intervals held": held, "registered": registered, "note": version.note}
    facts["file"] = f"{version.bytes:,} bytes, sha256 {version.digest}"
    return facts_grid({name: value for name, value in facts.items() if value})


def answers_of(version: ModelVersion) -> str:
    """What it answers: its columns, and how far ahead."""
    return ", ".join(version.targets) + (f" +{version.horizon}" if version.horizon else "")


def run_of(version: ModelVersion) -> str:
    """The run of this store that it comes from."""
    return "" if version.run is None else f"{version.run}, deleted" if version.run_deleted else str(version.run)


def runs(records: Sequence[StoredRun]) -> RenderableType:
    """Runs, one row each."""
    if not records:
        return "no runs match"
    return table(tuple(RUN_COLUMNS), [[getattr(run, field) for field in RUN_COLUMNS.values()] for run in records])


def run(record: StoredRun, curve: Sequence[Row], result: Result | None) -> RenderableType:
    """All about one run.

    Args:
        record: The run.
        curve: Its rows.
        result: Its result, once it has succeeded.
    """
    facts: dict[str, Any] = {
        "run": f"{record.id} of job {record.job} ({record.experiment})",
        "state": record.state + (f": {record.error}" if record.error else ""),
        "task": json.dumps(record.fragments["task"]),
        "network": f"{json.dumps(record.fragments['network'])}, {record.parameters} parameters",
        "trainer": json.dumps(record.fragments["trainer"]),
        "regularisation": json.dumps(record.fragments.get("regularisation")),
        "seed": record.seed,
        "budget": ", ".join(f"{k} {v}" for k, v in record.budget.items() if v not in (None, [])),
        "spent": ", ".join(f"{getattr(record, name) or 0:,} {name.replace('_', ' ')}" for name in COST_FIELDS),
        "time": duration(record.seconds or 0.0),
        "stopped by": record.stopped_by or "–",
        "loss": ", ".join(f"{name} {_cell(getattr(record, f'{name}_loss'))}" for name in ("train", "valid", "test")),
        "targets hit": ", ".join(f"{k} at {v:,} steps" for k, v in (record.hits or {}).items()) or "–",
    }
    if not record.fragments.get("regularisation"):
        del facts["regularisation"]
    if record.score is not None:
        facts["score"] = _score(record)
    for target, errors in (record.forecast_errors or {}).items():
        facts[f"errors of {target}"] = ", ".join(f"{LABELS[name]} {_cell(value)}" for name, value in errors.items())
    if curve:
        valid = [row.champion_valid for row in curve]
        facts["curve"] = f"{spark(valid)}  validation, {valid[0]:.4g} → {valid[-1]:.4g}"
    for name, value in (result.environment if result else {}).items():
        facts[name] = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
    return facts_grid(facts)


def facts_grid(facts: Mapping[str, Any]) -> Table:
    """Names and values, one line each."""
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(Text(name, style="bold"), Text(escape_controls(str(value))))
    return grid


def catalog(entries: Sequence[Entry]) -> RenderableType:
    """Entries of the catalog by group; a single network in detail."""
    parts: list[RenderableType] = []
    for group in dict.fromkeys(entry.group for entry in entries):
        parts.append(Text(f"\n{group}", style="bold"))
        grid = Table.grid(padding=(0, 2))
        for entry in entries:
            if entry.group == group:
                settings = ", ".join(
                    f"{name}={json.dumps(value)}" if value is not ... else name
                    for name, value in entry.settings.items()
                )
                grid.add_row(Text(entry.name, style="cyan"), Group(Text(entry.summary), Text(settings, style="dim")))
        parts.append(grid)
    if len(entries) == 1 and (description := entries[0].architecture):
        parts += [Text(""), architecture(description)]
    if len(entries) == 1 and entries[0].formats:
        parts.append(Text(f"files of `evornn model`: {', '.join(entries[0].formats)}"))
    return Group(*parts)


def architecture(description: ArchitectureSummary) -> Table:
    """One network in detail, as in docs/reference/architectures.md."""
    from evornn.experiments.description import EXAMPLE

    sizes = ", ".join(f"{count} {name}" for name, count in EXAMPLE.items())
    grid = Table.grid(padding=(0, 2))
    for name, text in (
        ("paper", description.paper),
        ("equation", description.equation),
        ("parameters", f"{description.parameters}; {description.example} with {sizes}"),
        ("backends", description.backends),
        ("notes", description.notes),
    ):
        grid.add_row(Text(name, style="bold"), Text(text))
    return grid


def measures(file: str, here: Measures, test: Measures) -> RenderableType:
    """The errors of a model on a file, below each those that it had on its test split, where they are known."""
    names = list(dict.fromkeys(name for values in here.values() for name in values))
    head = ("answer", "data", *(LABELS.get(name, name.replace("_", " ")) for name in names))
    lines = []
    for answer, values in here.items():
        lines.append((answer, file, *(values.get(name) for name in names)))
        if answer in test:
            lines.append((answer, "its test split", *(test[answer].get(name) for name in names)))
    return table(head, lines)


def findings(records: Sequence[Finding]) -> RenderableType:
    """Results of `evornn doctor`."""
    grid = Table.grid(padding=(0, 2))
    for finding in records:
        mark = Text("ok", style="green") if finding.good else Text("!!", style="red")
        grid.add_row(mark, Text(finding.what), Text(finding.found))
    return grid


def _score(run: StoredRun) -> str:
    """The task's own score on the test split."""
    verdict = {None: "", True: ": solved", False: ": not solved"}[run.solved]
    return f"{_cell(run.test_score)} {run.score}{verdict}"


def spark(values: Sequence[float], width: int = 40) -> str:
    """A curve as a line of block characters.

    >>> spark([0, 1, 2, float("nan"), 7])
    '▁▂▃ █'
    """
    samples = [values[k * len(values) // width] for k in range(width)] if len(values) > width else list(values)
    finite = [v for v in samples if v - v == 0]
    if not finite:
        return ""
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(BARS[int((v - low) / span * 7)] if v - v == 0 else " " for v in samples)


def _counts(counts: dict[str, int]) -> Text:
    parts = [Text(f"{n} {state}", style=COLOURS.get(state, "")) for state, n in counts.items()]
    return Text(", ").join(parts)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("–")
    if isinstance(value, float):
        return Text(f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}")
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9999 else str(value)
    return Text(escape_controls(text), style=COLOURS.get(text, ""))


def _validity(token: Token) -> str:
    if token.revoked is not None:
        return f"revoked {_time(token.revoked)}"
    if token.expires is None:
        return "valid"
    return f"{'valid until' if token.expires > time.time() else 'expired'} {_time(token.expires)}"


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).strftime("%Y-%m-%d %H:%M")
