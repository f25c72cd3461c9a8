"""Whether queued runs are computed: the live dispatchers, their machines, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evornn.service.dispatch.process_identity import is_running_here
from evornn.service.executors.machines import machines_of
from evornn.service.interface import StoreInterface
from evornn.store.records import Machine, Worker

NO_DISPATCHER = "no dispatcher is running: `evornn dispatch` on a machine of the cluster starts one"
NO_CLUSTER = "no dispatcher is connected to a cluster: the log of `evornn dispatch` says why"
NO_MACHINE = "the cluster has no machine that computes: start a worker; runs wait for it"


@dataclass(frozen=True)
class ClusterStatus:
    """What computes runs now."""

    problem: str | None  # why nothing does, and what to do; null if a dispatcher can compute
    dispatchers: int  # live ones
    able: int  # those with a machine that computes
    machines: Sequence[Machine]


def cluster_status(workers: Iterable[Worker]) -> ClusterStatus:
    """The state of all dispatchers.

    >>> cluster_status([]).problem
    'no dispatcher is running: `evornn dispatch` on a machine of the cluster starts one'
    """
    alive = [worker for worker in workers if worker.is_alive]
    able = sum(any(computes(machine) for machine in worker.machines) for worker in alive)
    return ClusterStatus(None if able else _problem(alive), len(alive), able, machines_of(alive))


def computes(machine: Machine) -> bool:
    """Whether runs are placed on a machine, now or as soon as it has room."""
    return machine.cpus + machine.gpus > 0 and not machine.draining


def problem_here(workers: Iterable[Worker]) -> str | None:
    """What is wrong with the dispatchers of this machine or container; None if one is alive and has a cluster."""
    alive = [worker for worker in workers if worker.is_alive and is_running_here(worker.name)]
    if not alive:
        return "no dispatcher runs here, or it has not been heard of for half a minute"
    return None if any(worker.machines for worker in alive) else NO_CLUSTER


def problem_of(store: StoreInterface) -> str | None:
    """Why no run of a store can be computed now; None if a dispatcher can."""
    return cluster_status(store.workers()).problem


def _problem(alive: Sequence[Worker]) -> str:
    if not alive:
        return NO_DISPATCHER
    return NO_MACHINE if any(worker.machines for worker in alive) else NO_CLUSTER
