"""Architectures on a task that shows what it is for: `examples/architectures/*.yaml`, computed, and as tables.

    python -m benchmarks.examples NAME … | all  [--quick] [--store URL] [--workers N]
    python -m benchmarks.examples --page [--store URL …]      write docs/results/examples.md

All runs are kept in the store: a second call computes what is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from benchmarks.stored import compute, job_of
from evornn import library
from evornn.errors import EvornnError, UnknownName
from evornn.experiments.analysis.narrative import number
from evornn.experiments.execute import load
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.yaml import read
from evornn.service.progress import progress
from evornn.store.records import StoredRun
from evornn.store.store import open_store

ROOT = Path(__file__).parent.parent
FOLDER, PAGE = ROOT / "examples" / "architectures", ROOT / "docs" / "results" / "examples.md"
HEAD = """# What each architecture is for

Experiments with the catalog's architectures, each on a task that shows its purpose, with gradient descent and evolution
side by side. Each is a single command that ends within 10 minutes on two cores.

The tables show what an architecture can do, not which trainer is best: settings were found in trials with one to three
of the same seeds, by validation loss but mostly with knowledge of the test loss, and not equally for all trainers.

- *Solved* is the number of runs, one per seed, whose champion is a solution by the standard of the task's paper
  ([tasks](../guides/tasks.md#scores)), on test.
- The score is the median [minimum, maximum] over all runs, the test loss the median.
- Network steps are the median at the end of a run; seconds are the computing time of all runs of the row on one core.

`python -m benchmarks.examples --page` generates this page from the runs of `examples/architectures/*.yaml`.
"""
ACRONYMS = ("ctrnn", "gru", "lstm", "mtrnn")
COLUMNS = ("network", "trainer", "solved / runs", "score", "test loss", "network steps", "seconds")
Row: TypeAlias = dict[str, Any]


def main(given: Sequence[str] | None = None) -> int:
    """Exit status 1 for an error that the message explains, and where runs failed."""
    parser = argparse.ArgumentParser("python -m benchmarks.examples", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or of {', '.join(names())}")
    parser.add_argument(
        "--page",
        action="store_true",
        help="write docs/results/examples.md from the stores; keep what they lack",
    )
    parser.add_argument("--quick", action="store_true", help="one seed and a tenth of each budget: does it run?")
    parser.add_argument("--store", action="append", help="default: sqlite:///examples.db; several for --page")
    parser.add_argument("--workers", type=int, help="CPUs; default: all; 0: no Ray")
    asked = parser.parse_args(given)
    try:
        stores = asked.store or ["sqlite:///examples.db"]
        write_page(stores) if asked.page else run(select_specs(asked.names, asked.quick), stores[0], asked.workers)
    except EvornnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def select_specs(given: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """Their specs. Raises UnknownName."""
    wanted = names() if given == ["all"] or (quick and not given) else given
    for name in wanted:
        if name not in names():
            raise UnknownName("example", name, names())
    specs = [read(FOLDER / f"{name}.yaml") for name in wanted]
    return [shorten(spec) for spec in specs] if quick else specs


def shorten(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "seeds": 1, "budget": {**spec["budget"], "steps": spec["budget"]["steps"] // 10}}


def run(specs: Sequence[dict[str, Any]], url: str, workers: int | None) -> None:
    """Work off what is missing of each, and print its table. Raises EvornnError for runs that failed."""
    library.prepare(workers, None)
    with open_store(url) as store:
        for spec in specs:
            compute([spec], store, workers, partial(progress, quiet=False))
            runs = store.runs(job=job_of(spec, store))
            print("\n".join(table(rows(runs))))
            if failed := [run for run in runs if run.state == "failed"]:
                raise EvornnError(f"{spec['name']}: {len(failed)} runs failed; the first one: {failed[0].error}")


# ---- what came out ---------------------------------------------------------------------------------------------------


def rows(runs: Sequence[StoredRun]) -> list[Row]:
    """One for each task, network and trainer, in the order of the spec (the task varies most slowly)."""
    groups: dict[tuple[str, str, str], list[StoredRun]] = {}
    for run in sorted(runs, key=lambda run: run.position):
        groups.setdefault((run.task, run.network, run.trainer), []).append(run)
    return [row(*key, same) for key, same in groups.items()]


def row(task: str, network: str, trainer: str, runs: Sequence[StoredRun]) -> Row:
    done = [run for run in runs if run.state == "succeeded"]
    solved = [run.solved for run in done if run.solved is not None]
    scores = sorted(run.test_score for run in done if run.test_score is not None)
    losses = [run.test_loss for run in done if run.test_loss is not None]
    return {
        "task": task,
        "network": network,
        "trainer": trainer,
        "runs": len(done),
        "failed": sum(run.state == "failed" for run in runs),
        "solved": sum(solved) if solved else None,
        "score_name": next((run.score for run in done if run.score), None),
        "score": [median(scores), scores[0], scores[-1]] if scores else None,
        "loss": median(losses) if losses else None,
        "steps": median(run.network_steps or 0 for run in done) if done else None,
        "seconds": sum(run.seconds or 0.0 for run in done),
    }


def table(results: Sequence[Row]) -> Iterator[str]:
    """Markdown, one table for each task."""
    for task, group in groupby(results, key=lambda row: row["task"]):
        of_task = list(group)
        score = of_task[0]["score_name"]
        yield f"\n**{task}**" + (f", score: {score}" if score else "") + "\n"
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---|---|--:|--:|--:|--:|--:|"
        yield from (f"| {' | '.join(cells(row))} |" for row in of_task)


def cells(row: Row) -> list[str]:
    runs = f"{row['runs']}" + (f" ({row['failed']} failed)" if row["failed"] else "")
    solved = f"{'–' if row['solved'] is None else row['solved']} / {runs}"
    score = "–" if row["score"] is None else "{} [{}, {}]".format(*map(number, row["score"]))
    return [
        row["network"],
        row["trainer"],
        solved,
        score,
        *(number(row[key], 3) for key in ("loss", "steps", "seconds")),
    ]


# ---- docs/results/examples.md ----------------------------------------------------------------------------------------


def write_page(urls: Sequence[str]) -> None:
    """Of all that was run to its end; what no store has stays as it stands on the page."""
    before = sections(PAGE.read_text() if PAGE.exists() else "")
    outcomes = {name: first_with(urls, name) for name in names()}
    PAGE.write_text(
        HEAD + "".join(before.get(title(k), "") if said is None else section(k, said) for k, said in outcomes.items())
    )


def sections(page: str) -> dict[str, str]:
    """Title → text of a page."""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"\n## {part.removesuffix(chr(10))}\n" for part in parts}


def title(name: str) -> str:
    return name.upper() if name in ACRONYMS else name.replace("_", " ").capitalize()


def first_with(urls: Sequence[str], name: str) -> dict[str, Any] | None:
    """What the first store that has run the example to its end, as it is now, says of it; None when none has."""
    spec = read(FOLDER / f"{name}.yaml")
    for url in urls:
        with open_store(url, create=False) as store:
            job = job_of(spec, store)
            if job is not None and store.job(job).finished is not None:
                runs = store.runs(job=job)
                done = next((run for run in runs if run.state == "succeeded"), None)
                environment = {} if done is None else store.result(done.id).environment
                kept = {key: environment.get(key) for key in ("commit", "cpu")}
                return {"baselines": baselines(spec), "environment": kept, "rows": rows(runs)}
    return None


def baselines(spec: dict[str, Any]) -> dict[str, dict[str, float]]:
    """task → baseline → loss on test. Control tasks have none."""
    tasks = {run.task: run.fragments["task"] for run in plan(parse_spec(spec))}
    data = {name: load(json.dumps(task))[1] for name, task in tasks.items()}
    return {
        task: {b.name: b.test for b in task_data.baselines} for task, task_data in data.items() if task_data.baselines
    }


def section(name: str, said: dict[str, Any]) -> str:
    """One example."""
    path = FOLDER / f"{name}.yaml"
    known = "; ".join(map(reference, said["baselines"].items()))
    results, machine = said["rows"], said["environment"]
    runs, seconds = sum(row["runs"] for row in results), sum(row["seconds"] for row in results)
    cost = f"{runs} runs, {number(seconds / 60)} min of computing time"
    below = f"{cost} on one core of {machine['cpu']}, {machine['commit']}."
    lines = "\n".join(table(results))
    told = f"\nTest loss of the baselines: {known}.\n" if known else ""
    return (
        f"\n## {title(name)}\n\n{purpose(path)}\n\n```console\n$ evornn run {path.relative_to(ROOT)}\n```\n{lines}\n"
        f"{told}\n{below}\n"
    )


def reference(known: tuple[str, dict[str, float]]) -> str:
    """A task's baselines."""
    task, losses = known
    return f"{task}: " + ", ".join(f"{name} {number(loss)}" for name, loss in losses.items())


def purpose(path: Path) -> str:
    """The comment that a spec begins with."""
    lines = path.read_text().splitlines()
    comment = lines[: next(k for k, line in enumerate(lines) if not line.startswith("#"))]
    return "\n".join(line.removeprefix("#").strip() for line in comment)


if __name__ == "__main__":
    sys.exit(main())
