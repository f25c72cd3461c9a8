"""The machines that compute runs: this one now, and those of all dispatchers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

import psutil

from evornn.store.records import Machine, Worker


def this_machine(cpus_used: float = 0.0) -> Machine:
    """The machine of this process, of which runs use `cpus_used` CPUs."""
    memory, name = psutil.virtual_memory(), socket.gethostname()
    return Machine(
        name, name, os.cpu_count() or 1, cpus_used, memory=memory.total, memory_used=memory.total - memory.available
    )


def machines_of(workers: Iterable[Worker]) -> list[Machine]:
    """The machines of all live dispatchers. A machine that several dispatchers use is listed once, as last reported."""
    alive = sorted((worker for worker in workers if worker.is_alive), key=lambda worker: worker.last_seen)
    machines = {machine.id: machine for worker in alive for machine in worker.machines}
    return sorted(machines.values(), key=lambda machine: (machine.name, machine.id))
