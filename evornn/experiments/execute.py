"""A run's plain data → the run itself. This is what a worker executes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evornn.experiments.spec import Resources, RunPlan, split_network
from evornn.networks.loss import CustomLoss, load_loss
from evornn.networks.network import Network
from evornn.settings import BadSetting, as_dict, build
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data, Task
from evornn.trainers import TRAINERS
from evornn.trainers.core.trainer import Trainer
from evornn.training.budget import Budget
from evornn.training.check import check, check_causal, check_score, load_data
from evornn.training.loop import train_loop
from evornn.training.make_problem import make_problem
from evornn.training.oracle import Origin
from evornn.training.problem import Sharder
from evornn.training.records import Checkpoint, Update


@dataclass(frozen=True)
class RunSetup:
    """A run's parts, built and checked against each other."""

    network: Network
    task: Task
    data: Data
    trainer: Trainer
    loss: str | CustomLoss


def build_run(fragments: Mapping[str, Any]) -> RunSetup:
    """Build a run's task, network and trainer. Raises EvornnError for what doesn't fit together."""
    task, data = load_task(fragments["task"])
    network = build_network_for(fragments, data)
    check_causal(network, task)
    trainer = TRAINERS.build(fragments["trainer"], "trainer")
    loss = fragments.get("loss")
    setup = RunSetup(network, task, data, trainer, load_loss(loss) if loss else data.loss)
    check(make_problem(network, data.train, setup.loss), trainer)
    return setup


def build_network_for(fragments: Mapping[str, Any], data: Data) -> Network:
    """The network of a run, with as many inputs and outputs as its task has."""
    return build_network(fragments, *data.sizes)


def build_network(fragments: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    """The network of a run, by its fragments `network` and `resources`."""
    architecture, sizes = split_network(fragments["network"])
    resources = build(Resources, dict(fragments.get("resources") or {}), "resources")
    return Network(
        architecture,
        inputs=inputs,
        outputs=outputs,
        **sizes,
        device=resources.device,
        threads=resources.cpus,
        backend=resources.backend,
    )


def load_task(fragment: Mapping[str, Any]) -> tuple[Task, Data]:
    """A task by its fragment, with its data."""
    return load(json.dumps(fragment, sort_keys=True))


def load(fragment: str) -> tuple[Task, Data]:
    """A task by its JSON fragment, with its data; kept for the process's next run while its file stays the same."""
    return _load(fragment, _version(json.loads(fragment).get("path")))


@lru_cache(maxsize=8)
def _load(fragment: str, version: tuple[int, int] | None) -> tuple[Task, Data]:
    task = TASKS.build(json.loads(fragment), "task")
    return task, load_data(task)


def _version(path: Any) -> tuple[int, int] | None:
    """When a task's file was changed, and its size; None where there is none."""
    try:
        stat = Path(path).stat()
    except (OSError, TypeError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_size


def execute(
    fragments: Mapping[str, Any],
    seed: int,
    budget: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
    origin: Origin | None = None,
    sharder: Sharder | None = None,
) -> Iterator[Update]:
    """Compute a run from its plain data, or go on with it from a checkpoint. `spread`: see `training`."""
    run = build_run(fragments)
    yield from train_loop(
        run.network,
        run.data,
        run.trainer,
        seed,
        build(Budget, dict(budget), "budget"),
        loss=run.loss,
        checkpoint=checkpoint,
        origin=origin,
        sharder=sharder,
    )


def check_plans(plans: list[RunPlan]) -> list[int]:
    """[runs] the number of parameters of each; raises the EvornnError that the run itself would end with."""
    sizes: dict[str, int] = {}
    for run in plans:
        key = json.dumps(run.fragments, sort_keys=True)
        if key not in sizes:
            setup = build_run(_without_gpu(run.fragments))
            sizes[key] = setup.network.n
            if run.budget.get("solved"):
                check_score(setup.data.score, setup.loss)
    return [sizes[json.dumps(run.fragments, sort_keys=True)] for run in plans]


def _without_gpu(fragments: Mapping[str, Any]) -> dict[str, Any]:
    """The same run without a GPU: who submits it need not have one."""
    resources = build(Resources, dict(fragments.get("resources") or {}), "resources")
    if resources.gpus and resources.backend == "simd":
        raise BadSetting("resources.backend", "simd is for CPUs: set it to auto or torch, or leave gpus out")
    return {**fragments, "resources": {**as_dict(resources), "gpus": 0.0}}
