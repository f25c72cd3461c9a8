"""Builds a run from its plain data and executes it. This is what a worker calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evornn.experiments.identity import RunFacts, RunIdentity, check_identity, code_digest
from evornn.experiments.spec import Resources, RunPlan, split_network
from evornn.networks.loss import CustomLoss, load_loss
from evornn.networks.network import Network
from evornn.settings import BadSetting, as_dict, build
from evornn.tasks import TASKS
from evornn.tasks.core.identity import data_digest
from evornn.tasks.core.task import Data, EvaluationData, Task
from evornn.trainers import TRAINERS
from evornn.trainers.core.trainer import Trainer
from evornn.training.budget import Budget
from evornn.training.check import check, check_causal, check_checkpoint, check_loss, check_score, load_data
from evornn.training.loop import train_loop
from evornn.training.make_problem import make_problem
from evornn.training.oracle import Origin
from evornn.training.problem import Sharder
from evornn.training.records import Checkpoint, Update
from evornn.training.regularisation import Regularisation, check_regularisation


@dataclass(frozen=True)
class RunSetup:
    """The parts of a run, built and checked against each other."""

    network: Network
    task: Task
    data: Data
    trainer: Trainer
    loss: str | CustomLoss
    regularisation: Regularisation


def build_run(fragments: Mapping[str, Any]) -> RunSetup:
    """Build task, network and trainer of a run. Raises EvornnError if they don't fit together."""
    task, data = load_task(fragments["task"])
    network = build_network_for(fragments, data)
    check_causal(network, task)
    trainer = TRAINERS.build(fragments["trainer"], "trainer")
    loss = fragments.get("loss")
    regularisation = build(Regularisation, dict(fragments.get("regularisation") or {}), "regularisation")
    setup = RunSetup(network, task, data, trainer, load_loss(loss) if loss else data.loss, regularisation)
    check(make_problem(network, data.train, setup.loss), trainer)
    check_loss(network, data, setup.loss)
    check_regularisation(regularisation, network, data.train)
    return setup


def build_network_for(fragments: Mapping[str, Any], data: Data | EvaluationData) -> Network:
    """Build the network of a run, with the inputs and outputs of its task."""
    return build_network(fragments, *data.sizes)


def build_network(fragments: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    """Build the network of a run.

    Args:
        fragments: Fragments of the run, of which `network` and `resources` are used.
        inputs: Number of inputs I.
        outputs: Number of outputs O.

    Raises:
        EvornnError: A setting is wrong.
    """
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
    """Build a task from its fragment, and load its data. Raises EvornnError."""
    return load(json.dumps(fragment, sort_keys=True))


def load(fragment: str) -> tuple[Task, Data]:
    """Like `load_task`, from a JSON fragment. The data is cached for the next run of the process, unless its file
    changes."""
    return _load(fragment, _version(json.loads(fragment).get("path")))


@lru_cache(maxsize=8)
def _load(fragment: str, version: tuple[int, int] | None) -> tuple[Task, Data]:
    task = TASKS.build(json.loads(fragment), "task")
    return task, load_data(task)


def _version(path: Any) -> tuple[int, int] | None:
    """Modification time and size of a task's file; None if it has none."""
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
    identity: RunIdentity | None = None,
) -> Iterator[Update]:
    """Execute a run.

    Args:
        fragments: task, network, trainer, loss, regularisation and resources.
        seed: All random numbers of the run derive from it.
        budget: Settings of `Budget`.
        checkpoint: State to resume from; None: start from scratch.
        origin: Genome of a warm start.
        sharder: Computes large populations on several processes; see `train_loop`.
        identity: Of the data and code that the run was submitted with; None: unknown.

    Yields:
        Updates: rows at budget marks with checkpoints, and at the end the result.

    Raises:
        EvornnError: The fragments don't fit together, or data and code here are not those of the identity.
    """
    run = build_run(fragments)
    if identity is not None:
        check_identity(identity, fragments, run.data)
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
        regularisation=run.regularisation,
    )


def check_plans(plans: list[RunPlan]) -> list[RunFacts]:
    """Build each run to check it, and return what is known of it then [runs]. Raises EvornnError."""
    facts: dict[str, RunFacts] = {}
    digests: dict[str, str] = {}  # of a task's data, which are digested once
    for run in plans:
        key, task = (json.dumps(part, sort_keys=True) for part in (run.fragments, run.fragments["task"]))
        if key not in facts:
            setup = build_run(_without_gpu(run.fragments))
            check_checkpoint(setup.trainer, setup.network.n)
            if run.budget.get("solved"):
                check_score(setup.data.score, setup.loss)
            digests[task] = digests.get(task) or data_digest(setup.data)
            identity = RunIdentity(digests[task], code_digest(run.fragments))
            facts[key] = RunFacts(setup.network.n, identity, setup.data.evaluation.keepable())
    return [facts[json.dumps(run.fragments, sort_keys=True)] for run in plans]


def _without_gpu(fragments: Mapping[str, Any]) -> dict[str, Any]:
    """The same run without a GPU, which the submitting machine may lack."""
    resources = build(Resources, dict(fragments.get("resources") or {}), "resources")
    if resources.gpus and resources.backend == "simd":
        raise BadSetting("resources.backend", "simd is for CPUs: set it to auto or torch, or leave gpus out")
    return {**fragments, "resources": {**as_dict(resources), "gpus": 0.0}}
