"""Checks that network, task, trainer and loss fit together and into memory, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evornn.errors import EvornnError
from evornn.kernels.quantile_levels import quantile_levels
from evornn.memory import check_memory
from evornn.settings import BadSetting
from evornn.tasks.core.task import EPISODES, Data, Score, Sequences, Task
from evornn.trainers.core.trainer import Trainer
from evornn.training.oracle import Origin
from evornn.training.problem import Problem
from evornn.training.records import check_size

if TYPE_CHECKING:
    from evornn.networks.loss import CustomLoss
    from evornn.networks.network import Network

COPIES = 12  # of a population [P, n] float32 at a trainer's peak: Adam's genomes, gradients, moments, old and new
MEMBER_SETTINGS = ("population", "restarts")  # of trainers: the number of members
COUNT_SETTINGS = ("train", "valid", "test", "rows", "long_strings")  # of tasks: the number of sequences
LENGTH_SETTINGS = ("length", "test_length", "long_length", "window", "lag")  # of tasks: steps of a sequence
STEP_BYTES = 16  # per step, at least: input, target, and what they were made from


def check(problem: Problem, trainer: Trainer, origin: Origin | None = None) -> None:
    """Check that a problem, a trainer and a warm start fit together.

    Args:
        problem: The training split, with its network.
        trainer: The trainer.
        origin: Of a warm start; None: there is none.

    Raises:
        EvornnError: They don't, or don't fit into memory. NoGradient, a subclass: the trainer needs a gradient that
            the loss or the network doesn't have.
    """
    network, sizes = problem.network, problem.sizes
    layout = network.layout
    if sizes != (layout.inputs, layout.outputs):
        raise EvornnError(
            f"the task has {sizes[0]} inputs and {sizes[1]} outputs, {network!r} has others: "
            f"build it with inputs={sizes[0]}, outputs={sizes[1]}"
        )
    problem.check(trainer.needs_gradient, trainer.solves_readout)
    check_origin(origin, network.n)
    trainer.check(network.n, problem.num_cases)
    _check_memory(network, trainer)


def check_checkpoint(trainer: Trainer, parameters: int) -> None:
    """Check that a store takes the checkpoints of a run, as far as that is known before it starts.

    Args:
        trainer: The trainer.
        parameters: Number of parameters n of its network.

    Raises:
        EvornnError: A checkpoint would be too large.
    """
    check_size(checkpoint_bytes(trainer, parameters), trainer.memory_hint or "use a smaller network or population")


def checkpoint_bytes(trainer: Trainer, parameters: int) -> int:
    """The least size of a trainer's state in a checkpoint, in bytes: matrices and populations that it keeps."""
    together = [checkpoint_bytes(part, parameters) for part in trainer.parallel_trainers]
    # Where read-outs are solved, parts search over fewer parameters: how many, only the network tells.
    in_turn = [] if trainer.solves_readout else [checkpoint_bytes(part, parameters) for part in _parts(trainer)]
    populations = 4 * trainer.stored_populations * _members(trainer)[0] * parameters
    return max(sum(together), *in_turn, trainer.stored_covariance_bytes(parameters) + populations)


def check_splits(network: Network, data: Data, loss: str | CustomLoss) -> None:
    """Check the sequences of all splits before training: the test split is read at the end only.

    Args:
        network: The network to train.
        data: The splits.
        loss: A name or a function.

    Raises:
        EvornnError: A value that counts is not finite, shapes don't fit, or the loss can't have the targets. The split
            is named.
    """
    _check_levels(data, loss)
    for name, part in zip(("train", "valid", "test"), data.splits, strict=True):
        if isinstance(part, Sequences):
            try:
                for portion in part.portions():
                    network.check_examples(portion.inputs, portion.targets, portion.mask, loss)
            except EvornnError as error:
                raise EvornnError(f"{name}: {error}") from None


def check_loss(network: Network, data: Data, loss: str | CustomLoss) -> None:
    """Check before a run is queued that its loss can have the targets of all splits. Raises EvornnError."""
    _check_levels(data, loss)
    for part in data.splits:
        if isinstance(part, Sequences):
            for portion in part.portions():
                network.check_targets(portion.targets, portion.mask, loss)


def _check_levels(data: Data, loss: str | CustomLoss) -> None:
    """Raises EvornnError for several quantiles of a task whose outputs are something else."""
    if isinstance(loss, str) and loss != data.loss and len(quantile_levels(loss)) > 1:
        raise BadSetting("loss", f"{loss} needs outputs for each level: set quantiles of the task, or name one level")


def load_data(task: Task) -> Data:
    """Load the data of a task. Raises EvornnError if they don't fit into memory."""
    _check_data(task)
    try:
        return task.data()
    except MemoryError:
        raise EvornnError(
            f"memory: the data of {type(task).__name__} don't fit: take fewer or shorter sequences"
        ) from None


def check_causal(network: Network, task: Task) -> None:
    """Raises EvornnError if a network that sees future inputs is to predict them."""
    if task.causal and not network.cell.causal:
        raise EvornnError(
            f"{network!r} sees the future, and {type(task).__name__} is about predicting it: use a causal network"
        )


def check_origin(origin: Origin | None, parameters: int) -> None:
    """Raises EvornnError if a warm start comes from a network of another size."""
    if origin is not None and len(origin.genome) != parameters:
        raise EvornnError(
            f"start_from: that run's network has {len(origin.genome)} parameters, this one {parameters}: "
            "start from a run of the same network"
        )


def check_score(score: Score | None, loss: str | CustomLoss) -> None:
    """Raises EvornnError if `budget.solved` could never stop a run."""
    if loss == EPISODES:
        raise EvornnError("budget.solved: a task of control is solved at the loss 0: set target: 0 instead")
    if score is None or score.threshold is None or not is_applicable(score, loss):
        raise EvornnError(
            "budget.solved: the task has no score with a threshold under this loss: set a target, or leave it out"
        )


def is_applicable(score: Score, loss: str | CustomLoss) -> bool:
    """Whether the score applies to outputs that were trained under this loss."""
    return not score.losses or loss in score.losses


def _check_memory(network: Network, trainer: Trainer) -> None:
    members, setting = _members(trainer)
    what = f"memory: {members:,} members of {network.n:,} parameters"
    check_memory(what, COPIES * 4 * members * network.n, f"lower {setting or 'layers'} or units")


def _check_data(task: Task) -> None:
    """Estimate before the data are made: afterwards the machine may be out of memory, and this process killed."""
    sequences, steps = sum(_counts(task, COUNT_SETTINGS)), max(_counts(task, LENGTH_SETTINGS), default=1)
    what = f"memory: the data of {type(task).__name__}, {sequences:,} sequences of {steps:,} steps,"
    check_memory(what, STEP_BYTES * sequences * steps, "take fewer or shorter sequences")


def _counts(task: Task, names: Sequence[str]) -> list[int]:
    """The settings with these names that are numbers: in a user's task the names may mean anything."""
    values = [getattr(task, name, None) for name in names]
    return [count for count in values if isinstance(count, int)]


def _members(trainer: Trainer) -> tuple[int, str]:
    """The number of members that a trainer holds at once, or its largest part does, and the setting to lower."""
    if trainer.parallel_trainers:
        each = [_members(part) for part in trainer.parallel_trainers]
        return sum(members for members, _ in each), ", ".join(filter(None, ("count", max(each)[1])))
    populations = [(int(getattr(trainer, name) or 1), name) for name in MEMBER_SETTINGS if hasattr(trainer, name)]
    return max([*populations, *map(_members, _parts(trainer))], default=(1, ""))


def _parts(trainer: Trainer) -> list[Trainer]:
    """The trainers that a hybrid holds."""
    held = [getattr(trainer, name) for name in getattr(trainer, "parts", ())]
    return [part for part in held if isinstance(part, Trainer)]
