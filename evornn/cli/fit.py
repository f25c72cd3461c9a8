"""`evornn fit`: from a file to a verdict and a model, in one command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.options import DEFAULT, Json, Store, Workers, shell_option
from evornn.cli.output import show
from evornn.cli.own_data import describe_answer, describe_doubt, summarize, with_own_data
from evornn.cli.run import CommandInterrupted
from evornn.errors import EvornnError
from evornn.service.progress import duration

if TYPE_CHECKING:
    from evornn.data.doubts import Doubt
    from evornn.data.understanding import Understanding
    from evornn.experiments.affordable import AffordableBudget
    from evornn.experiments.own_data import OwnData
    from evornn.service.fitting import FitResult


@with_own_data
def fit(
    own: OwnData,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The model; default: beside FILE, .safetensors.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="Where the spec is kept; default: beside FILE, .yaml.")] = None,
    minutes: Annotated[float, typer.Option(min=1, help="How long all of it may take, about.")] = 5.0,
    store: Store = DEFAULT,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Train networks on a file of your own by gradient, evolution and both, and keep the best one as a model. The same
    command goes on where it was interrupted."""
    from evornn import library
    from evornn.service.progress import progress

    begin, spec, output = monotonic(), spec or own.beside(".yaml"), output or own.beside(".safetensors")
    say = (lambda *_: None) if as_json else _say
    own, facts, plan = _ask(own, can_ask=not as_json and sys.stdin.isatty() and sys.stdout.isatty())
    _check_output(output, plan["name"])
    say(*_describe(own, facts, plan))
    try:
        result = library.run_fit(
            plan, spec, minutes, store, workers,
            lambda chosen, budget: say(_describe_spec(chosen, spec, budget)),
            lambda opened, job: progress(opened, job, quiet=as_json),
        )  # fmt: skip
    except KeyboardInterrupt:
        raise CommandInterrupted("interrupted: nothing is lost, the same command goes on where it stopped") from None
    result.model.save(output)
    if as_json:
        show(_as_data(result, facts, spec, output), True)
    else:
        took = f"took {duration(monotonic() - begin)}"
        say("", *result.sentences, *result.comparison.notes, "", *_next_steps(own, result, spec, output, store), took)


def _ask(own: OwnData, can_ask: bool) -> tuple[OwnData, Understanding, dict[str, Any]]:
    """The file, what is understood of it, and the spec without its budget. Asks one question at most."""
    from evornn.data.doubts import UnansweredDoubt

    facts = own.understand()
    if not own.targets:
        may = ", ".join(f"{one.name} ({one.question})" for one in facts.columns if one.question)
        raise EvornnError(f"name the column to predict with --target: {may or 'no column can be one'}")
    try:
        return own, facts, own.spec(facts)
    except UnansweredDoubt as error:
        if not can_ask or not error.doubt.answers:
            raise
        own = own.answer(*_choose(error.doubt))
    facts = own.understand()
    return own, facts, own.spec(facts)


def _choose(doubt: Doubt) -> tuple[str, str]:
    """The answer that the user chooses on the terminal."""
    lines = [f"{k}  {describe_answer(*answer)}" for k, answer in enumerate(doubt.answers, start=1)]
    _say("", doubt.question, *lines)
    chosen = 0
    while not 1 <= chosen <= len(lines):
        chosen = typer.prompt(f"Which one, 1 to {len(lines)}", type=int)
    return doubt.answers[chosen - 1]


def _check_output(output: Path, experiment: str) -> None:
    """Check before minutes of work that the model can be written, and replaces nothing but one of this question. Raises
    EvornnError."""
    from evornn.models.standalone import StandaloneModel

    if not output.absolute().parent.is_dir() or not os.access(output.absolute().parent, os.W_OK):
        raise EvornnError(f"{output}: can't be written: name another file with --output")
    if output.exists():
        try:
            same = StandaloneModel.load(output).provenance.experiment == experiment
        except EvornnError:
            same = False
        if not same:
            raise EvornnError(f"{output}: is there already and is something else: name a new file with --output")


def _say(*lines: str) -> None:
    from evornn.service.progress import print_line

    print_line("\n".join(lines))


def _describe(own: OwnData, facts: Understanding, plan: dict[str, Any]) -> list[str]:
    """What was understood, and what is not certain of it."""
    words = summarize(facts)
    file, rows, sequences, time = (words.pop(name) for name in ("file", "rows", "sequences", "time"))
    columns = {column.name: column for column in facts.columns}
    named = ", ".join(f"{name} ({columns[name].kind})" for name in own.targets)
    others = [name for name in columns if name not in (*own.targets, facts.group, facts.time)]
    question, read = plan["tasks"][0]["kind"], ", ".join(others)
    inputs = f"from {read}" if question != "forecast" else "from its past" + (f"; not read: {read}" if others else "")
    return [
        f"{file}: {rows} rows ({', '.join(words.values())})",
        f"sequences: {sequences}; time: {time}",
        f"question: {question} {named} {inputs}",
        *(
            f"not certain: {describe_doubt(doubt)}"
            for doubt in facts.doubts
            if not doubt.blocking and not _is_fill(doubt)
        ),
    ]


def _is_fill(doubt: Doubt) -> bool:
    """Whether it is about gaps, which the spec asks about where they matter."""
    return any(option == "fill" for option, _ in doubt.answers)


def _describe_spec(spec: dict[str, Any], path: Path, budget: AffordableBudget | None) -> str:
    from evornn.experiments.analysis.narrative import number, plural

    counts = [len(spec["networks"]), len(spec["trainers"]), spec["seeds"]]
    names = [plural(count, noun) for count, noun in zip(counts, ("network", "trainer", "seed"), strict=True)]
    cost = f"{' × '.join(names)}, {number(spec['budget']['steps'])} network steps each"
    if budget is None:
        return f"spec: {path}, as an earlier call chose it: {cost}"
    return f"spec: {path}: {cost}; about {duration(budget.seconds)} on {plural(budget.cores, 'core')}"


def _as_data(result: FitResult, facts: Understanding, spec: Path, output: Path) -> dict[str, Any]:
    from evornn.experiments.analysis.comparison import as_data

    return {
        "job": result.job,
        "model": str(output),
        "spec": str(spec),
        "understood": facts.to_dict(),
        "verdict": result.sentences,
        "test_interval": as_data(result.test),
        "best_baseline": as_data(result.best_baseline),
        "comparison": as_data(result.comparison),
    }


def _next_steps(own: OwnData, result: FitResult, spec: Path, output: Path, store: str) -> list[str]:
    """Where things are, and commands to go on with."""
    target = "" if store == DEFAULT else shell_option("store", store)
    model, file = quote(str(output)), quote(own.path)
    answer, question = result.model.own_preparation.answers[0], result.model.own_preparation.question
    ahead = 24 if answer.level is None else answer.horizon  # quantiles don't go on from themselves
    more = f" --next {ahead}" if question == "forecast" else ""
    return [
        f"model     {output}",
        f"spec      {spec}",
        f"try       evornn predict {model} {file}{more}",
        f"          evornn evaluate {model} {file}",
        f"          evornn compare {result.job} --report report.html{target}",
    ]
