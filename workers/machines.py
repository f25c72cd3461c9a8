"""What the cluster has, asked once a second, and whether it is still there at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ray
from ray._private.state import available_resources_per_node  # Ray has no other place for it

from evornn.errors import EvornnError
from evornn.service.executors.executor import Room
from evornn.service.executors.machines import this_machine
from evornn.store.records import Machine
from evornn.workers.cluster import knock

EVERY = 1.0  # seconds between two looks
KNOCKS = 3  # in vain, in a row: then the head is dead


class Machines:
    """The cluster's machines. For `grace` seconds after its last change a cluster may still grow."""

    def __init__(self, grace: float) -> None:
        self._context = ray.get_runtime_context()
        self._grace, self._changed, self._looked, self._in_vain = grace, time.monotonic(), 0.0, 0
        self._have: dict[str, Room] = {}
        self.seen: list[Machine] = []  # the same with what is in use
        self._look()

    def look(self) -> None:
        """Look again if the last time was a while ago. Raises EvornnError when the cluster is gone."""
        if time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        try:
            knock(self._context.gcs_address)
            self._in_vain = 0
        except OSError as error:
            self._in_vain += 1
            if self._in_vain >= KNOCKS:
                where = self._context.gcs_address
                raise EvornnError(f"the head of the Ray cluster at {where} is gone ({error})") from None
        else:
            self._look()

    @property
    def capacity(self) -> Room:
        have = self._have.values()
        return Room(sum(has.cpus for has in have), sum(has.gpus for has in have))

    @property
    def may_grow(self) -> bool:
        return time.monotonic() - self._changed < self._grace

    def take(self, needs: Room) -> bool:
        """Whether some machine is large enough."""
        return any(has.cpus >= needs.cpus and has.gpus >= needs.gpus for has in self._have.values())

    def refusal(self, needs: Room) -> str:
        most = max((has.cpus for has in self._have.values()), default=0)
        return (
            f"resources: no machine has {needs.cpus:g} CPUs and {needs.gpus:g} GPUs for a run (at most {most:g} CPUs): "
            "lower resources.cpus or resources.gpus"
        )

    def _look(self) -> None:
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        have = {n["NodeID"]: Room(n["Resources"].get("CPU", 0), n["Resources"].get("GPU", 0)) for n in nodes}
        here = self._context.get_node_id()
        if here not in have:
            raise EvornnError("the Ray node that this process is connected to is gone")
        free = available_resources_per_node()  # type: ignore[no-untyped-call]
        self.seen = [
            _machine(node, free.get(node["NodeID"], node["Resources"]), node["NodeID"] == here) for node in nodes
        ]
        if have != self._have:
            self._have, self._changed = have, time.monotonic()


def _machine(node: Mapping[str, Any], free: Mapping[str, float], here: bool) -> Machine:
    """A node of Ray's. Of others than this process's Ray tells how much memory they began with, not what is in use."""
    have = node["Resources"]
    cpus, gpus = have.get("CPU", 0.0), have.get("GPU", 0.0)
    memory = int(have.get("memory", 0) + have.get("object_store_memory", 0)) or None
    used = cpus - free.get("CPU", 0.0), gpus - free.get("GPU", 0.0)
    found = Machine(node["NodeID"], node["NodeManagerHostname"], cpus, used[0], gpus, used[1], memory)
    own = this_machine() if here else found
    return replace(found, memory=own.memory, memory_used=own.memory_used)
