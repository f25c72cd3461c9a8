"""This checkout against another one of the same project, in turns within one run: what has become faster or slower.

    python -m benchmarks.versus [OLD_CHECKOUT] [--new PATH] [--quick] [--json FILE] [--operations forward,control]
                                [--cells elman,lstm] [--workloads 1,3] [--rounds 7] [--threads N]

Each checkout computes in a process of its own, which stays to the end and answers when it is asked, so only one of them
computes at a time. `forward` and `gradient` are the rows of `benchmarks.kernels`; `control` are closed loops of
populations from the cell's initial distribution; `small` are the updates of `benchmarks.overhead`, on one thread.
Both compute each row once to compile and then to warm up; each round asks both for a sample, every time beginning with
the other one. A ratio is new / old, the median of the rounds' own ratios: below 1 the new one is faster. `apart` is the
relative difference of what both have computed: the mean loss, the gradients' norm, the control steps survived, the
genome's norm. Without an old checkout this one is held against itself, which tells what a ratio means on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

# A child runs this file, but imports from its own checkout: up here and in its part only what every checkout has.
from benchmarks.timing import geometric_mean, seconds, steady_seconds
from evornn.errors import EvornnError

Row = dict[str, Any]  # plain data, since it goes to the children
Made = tuple[Callable[[], Any], Callable[[Any], Any]]  # what is timed; its result → one number to compare

HERE = Path(__file__).resolve().parents[1]
OPERATIONS = ("forward", "gradient", "control", "small")
LEAST = 0.02  # seconds of a sample
UNITS, CONTROLLERS, MEMBERS = 5, ("elman", "lstm"), (1024, 16)  # of the closed loops
PLANTS: dict[str, Row] = {
    "single pole": {"kind": "poles", "poles": 1, "velocities": True},
    "double pole": {"kind": "poles", "poles": 2, "velocities": True},
    "double pole, no velocities": {"kind": "poles", "poles": 2},
    "walker": {"kind": "walker"},
}
UPDATED: Row = {  # what the small updates train, as in benchmarks.overhead
    "task": {"kind": "adding", "length": 20, "train": 1024, "valid": 1, "test": 1},
    "network": {"kind": "elman", "units": 8},
}


# ---- the child: computes and times what it is asked for -------------------------------------------------------------


def child() -> None:
    """First tells where evornn comes from. Then answers line by line: a row by a number that says what was computed,
    null by the seconds of a sample of that row. What libraries print goes to stderr."""
    import evornn

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    tell = partial(print, file=answers, flush=True)
    tell(json.dumps(evornn.__file__))
    call: Callable[[], Any] = dict
    for line in sys.stdin:
        if (row := json.loads(line)) is None:
            tell(json.dumps(sample(call)))
        else:
            call, number = MAKERS[row["operation"]](row)
            tell(json.dumps(float(number(call()))))


def sample(call: Callable[[], Any]) -> float:
    """Median seconds of as many calls as take 20 ms together; before the first one everything rests."""
    times = [steady_seconds(call)]
    while sum(times) < LEAST:
        times.append(seconds(call))
    return median(times)


def evaluation(row: Row) -> Made:
    """Losses or gradients, numpy in and numpy out."""
    from benchmarks.workloads import Workload, problem

    posed = problem(row["cell"], Workload(*row["workload"]), row["operation"], row["threads"])
    network, data = posed.network, (posed.genomes, posed.inputs, posed.targets)
    if row["operation"] == "forward":
        return lambda: network.losses(*data), np.mean
    return lambda: network.gradients(*data), lambda result: np.linalg.norm(result[1])


def closed_loop(row: Row) -> Made:
    """The episodes of a population."""
    import torch

    from evornn.kernels import backend
    from evornn.networks.network import Network
    from evornn.tasks.plants import PLANTS

    trace = PLANTS.build(row["plant"], "plant").trace()
    sizes = {"inputs": len(trace.observations), "units": row["units"], "outputs": len(trace.a)}
    network = Network(row["cell"], **sizes, threads=row["threads"])
    genomes = torch.from_numpy(network.sample(row["members"], seed=0))
    loop = backend.closed_loop(network.evaluator, trace)
    return lambda: loop.run(genomes, row["steps"]), lambda episodes: episodes.steps.sum()


def update(row: Row) -> Made:
    """One step of a trainer after the other."""
    from evornn.arrays import Streams
    from evornn.experiments.execute import build_run
    from evornn.training.make_problem import make_problem
    from evornn.training.oracle import LocalOracle

    run = build_run(row["run"])
    oracle, streams = LocalOracle(make_problem(run.network, run.data.train, run.loss), 0, 2**62), Streams(0, "small")
    state = run.trainer.start(oracle, streams)

    def step() -> Any:
        nonlocal state
        oracle.begin_step()
        state = run.trainer.step(state, oracle, streams)
        return state

    return step, lambda state: np.linalg.norm(run.trainer.best(state))


MAKERS = {"forward": evaluation, "gradient": evaluation, "control": closed_loop, "small": update}


# ---- the parent: asks two of them in turns --------------------------------------------------------------------------


class Child:
    """A process that computes with what a checkout holds."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout.resolve()
        if not (self.checkout / "evornn" / "__init__.py").is_file():
            raise EvornnError(f"{checkout} is no checkout of evornn: give the folder in which evornn/ lies")
        command = [
            sys.executable,
            "-P",
            str(HERE / "benchmarks" / "versus.py"),
            "--child",
        ]  # -P: nothing from beside it
        environment = {**os.environ, "PYTHONPATH": str(self.checkout)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=self.checkout, env=environment, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()  # nothing is lost
        self.process.communicate()

    def check(self) -> None:
        """To be called first. Raises EvornnError where what it imports is not the checkout's."""
        if not Path(path := self._answer()).resolve().is_relative_to(self.checkout):
            raise EvornnError(f"the process of {self.checkout} imports evornn from {path}")

    def compute(self, row: Row) -> float:
        """Make a row ready and compute it once; a number that says what."""
        return float(self._ask(row))

    def sample(self) -> float:
        """Seconds of the row that is ready."""
        return float(self._ask(None))

    def _ask(self, command: Row | None) -> Any:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # then it does not answer either
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise EvornnError(f"the process of {self.checkout} has ended: see above")
        return json.loads(line)


def measure(row: Row, old: Child, new: Child, rounds: int) -> Row:
    """The row with times and ratios."""
    was, now = old.compute(row), new.compute(row)
    old.sample(), new.sample()
    times = []
    for k in range(rounds):
        times_by_child = {who: who.sample() for who in ((old, new) if k % 2 == 0 else (new, old))}
        times.append((times_by_child[old], times_by_child[new]))
    ratios = [after / before for before, after in times]
    before, after = (1e3 * median(values) for values in zip(*times, strict=True))
    apart = abs(now - was) / abs(was) if was else abs(now)
    ms = {"old_ms": before, "new_ms": after}
    return {**row, **ms, "ratio": median(ratios), "ratios": ratios, "apart": apart}


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """What is measured, without times; `what` is for people."""
    makers = {"control": loops, "small": updates}
    for operation in options.operations:
        yield from makers.get(operation, partial(evaluations, operation))(options)


def evaluations(operation: str, options: argparse.Namespace) -> Iterator[Row]:
    from benchmarks.kernels import select_workloads

    for sizes in select_workloads(options.workloads, options.quick):
        for cell in options.cells:
            own = {"cell": cell, "workload": list(vars(sizes).values()), "threads": options.threads}
            yield {"operation": operation, "what": f"{cell} {sizes}", **own}


def loops(options: argparse.Namespace) -> Iterator[Row]:
    steps = 200 if options.quick else 1000
    for members in MEMBERS:
        crowd = f" ({members} members: mostly the call)" if members == min(MEMBERS) else f", {members}"
        for cell in CONTROLLERS:
            for name, plant in PLANTS.items():
                own = {"cell": cell, "units": UNITS, "members": members, "steps": steps, "threads": options.threads}
                yield {"operation": "control", "what": f"{cell}, {name}{crowd}", "plant": plant, **own}


def updates(options: argparse.Namespace) -> Iterator[Row]:
    from benchmarks.overhead import SMALL

    for name, trainer in SMALL.items():
        yield {"operation": "small", "what": name, "run": {**UPDATED, "trainer": trainer}}


def run(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """{"machine": …, "old": folder, "new": folder, "rows": […], "summary": {operation: …}}"""
    from evornn.training.environment import machine

    wanted, measurements = list(rows(options)), []
    with Child(options.old) as old, Child(options.new) as new:
        old.check(), new.check()
        for row in wanted:
            measurements.append(measure(row, old, new, options.rounds or (3 if options.quick else 7)))
            say(" ".join(cells(measurements[-1])))
        places = {"old": str(old.checkout), "new": str(new.checkout)}
    return {
        "machine": {**machine(), "threads": options.threads},
        **places,
        "rows": measurements,
        "summary": summary(measurements),
    }


def summary(rows: Sequence[Row]) -> dict[str, Row]:
    """Of each operation the geometric mean of the ratios and the worst row."""
    told = {}
    for operation in dict.fromkeys(row["operation"] for row in rows):
        own = [row for row in rows if row["operation"] == operation]
        worst = max(own, key=lambda row: row["ratio"])
        mean = geometric_mean(row["ratio"] for row in own)
        told[operation] = {"geometric_mean": mean, "worst": worst["ratio"], "worst_row": worst["what"]}
    return told


def cells(row: Row) -> list[str]:
    """A row for people."""
    times = (f"{row[name]:.3g} ms" for name in ("old_ms", "new_ms"))
    span = f"({min(row['ratios']):.2f}–{max(row['ratios']):.2f})"
    return [row["operation"], row["what"], *times, f"{row['ratio']:.3f}", span, f"{row['apart']:.0e}"]


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The result as a table, then what comes of it."""
    shown = [["operation", "row", "old", "new", "new/old", "(rounds)", "apart"], *map(cells, result["rows"])]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        left, right = zip(line[:2], widths[:2], strict=True), zip(line[2:], widths[2:], strict=True)
        yield "  ".join([*(text.ljust(width) for text, width in left), *(text.rjust(width) for text, width in right)])
    yield f"\nold {result['old']}, new {result['new']}"
    for operation, told in result["summary"].items():
        mean, worst = (f"{told[name]:.3f}" for name in ("geometric_mean", "worst"))
        yield f"{operation}: geometric mean {mean}, worst {worst} ({told['worst_row']})"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Raises EvornnError for names that are unknown."""
    from benchmarks.options import cells, names, places, positive
    from benchmarks.workloads import CELLS

    parser = argparse.ArgumentParser("python -m benchmarks.versus", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", nargs="?", default=HERE, type=Path, metavar="OLD_CHECKOUT", help="default: this one")
    parser.add_argument("--new", default=HERE, type=Path, metavar="PATH", help="default: this checkout")
    parser.add_argument("--quick", action="store_true", help="smaller workloads, shorter episodes, 3 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    operations = partial(names, "operation", known=OPERATIONS)
    parser.add_argument("--operations", default=OPERATIONS, type=operations, help=f"default: {','.join(OPERATIONS)}")
    help_cells = "of forward and gradient; all: every gated cell; default: those with peers"
    parser.add_argument("--cells", default=CELLS, type=cells, help=help_cells)
    parser.add_argument("--workloads", type=places, help="their places in the list, say 1,3; default: all")
    parser.add_argument("--rounds", type=positive, help="of which the median counts; default 7, with --quick 3")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=positive, default=cores, help="default: all cores")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    try:
        options = arguments(given)
        result = run(options, lambda line: print(line, file=sys.stderr, flush=True))
    except EvornnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(child() if "--child" in sys.argv else main())
