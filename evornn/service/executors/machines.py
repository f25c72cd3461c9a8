"""The machines that compute: this one as it is now, and those of all dispatchers together."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

import psutil

from evornn.store.records import Machine, Worker


def this_machine(cpus_used: float = 0.0) -> Machine:
    """The machine of this process."""
    memory, name = psutil.virtual_memory(), socket.gethostname()
    return Machine(
        name, name, os.cpu_count() or 1, cpus_used, memory=memory.total, memory_used=memory.total - memory.available
    )


def machines_of(workers: Iterable[Worker], now: float) -> list[Machine]:
    """Those of all dispatchers that are alive; one that several see is counted once, as it was seen last."""
    alive = sorted((worker for worker in workers if worker.is_alive(now)), key=lambda worker: worker.last_seen)
    machines = {machine.id: machine for worker in alive for machine in worker.machines}
    return sorted(machines.values(), key=lambda machine: (machine.name, machine.id))
