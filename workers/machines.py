"""Monitors the cluster: its machines, polled once a second, and whether it is still alive."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ray
from ray._private.state import available_resources_per_node  # Ray has no other place for it

from evornn.errors import EvornnError
from evornn.service.executors.executor import ResourceSet
from evornn.service.executors.machines import this_machine
from evornn.store.records import Machine
from evornn.workers.draining import draining_nodes
from evornn.workers.probe import probe

POLL_INTERVAL = 1.0  # seconds between two polls
MAX_FAILED_PROBES = 3  # in a row, after which the head counts as dead


class ClusterMonitor:
    """The cluster's machines. A cluster counts as complete once it hasn't changed for `grace` seconds."""

    def __init__(self, grace: float) -> None:
        self._context = ray.get_runtime_context()
        self._grace, self._last_change, self._last_poll, self._failed_probes = grace, time.monotonic(), 0.0, 0
        self._capacities: dict[str, ResourceSet] = {}
        self.machines: list[Machine] = []  # the same, with their load
        self._refresh()

    def poll(self) -> None:
        """Refresh if the last poll was long enough ago. Raises EvornnError when the cluster is gone."""
        if time.monotonic() - self._last_poll < POLL_INTERVAL:
            return
        self._last_poll = time.monotonic()
        try:
            probe(self._context.gcs_address)
            self._failed_probes = 0
        except OSError as error:
            self._failed_probes += 1
            if self._failed_probes >= MAX_FAILED_PROBES:
                where = self._context.gcs_address
                raise EvornnError(f"the head of the Ray cluster at {where} is gone ({error})") from None
        else:
            self._refresh()

    @property
    def capacity(self) -> ResourceSet:
        """CPUs and GPUs of all machines together."""
        have = self._capacities.values()
        return ResourceSet(sum(has.cpus for has in have), sum(has.gpus for has in have))

    @property
    def may_grow(self) -> bool:
        """Whether further machines may still join: the cluster has changed lately, or nothing in it computes yet."""
        total = self.capacity
        return total.cpus + total.gpus == 0 or time.monotonic() - self._last_change < self._grace

    def has_room_for(self, needs: ResourceSet) -> bool:
        """Whether a machine is large enough, free or not."""
        return any(has.cpus >= needs.cpus and has.gpus >= needs.gpus for has in self._capacities.values())

    def rejection_reason(self, needs: ResourceSet) -> str:
        """Why a run that no machine is large enough for is rejected."""
        most = max((has.cpus for has in self._capacities.values()), default=0)
        return (
            f"resources: no machine has {needs.cpus:g} CPUs and {needs.gpus:g} GPUs for a run (at most {most:g} CPUs): "
            "lower resources.cpus or resources.gpus"
        )

    def _refresh(self) -> None:
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        have = {n["NodeID"]: ResourceSet(n["Resources"].get("CPU", 0), n["Resources"].get("GPU", 0)) for n in nodes}
        draining = draining_nodes()
        node_id = self._context.get_node_id()
        if node_id not in have:
            raise EvornnError("the Ray node that this process is connected to is gone")
        free = available_resources_per_node()  # type: ignore[no-untyped-call]
        self.machines = [
            replace(
                _machine(node, free.get(node["NodeID"], node["Resources"]), node["NodeID"] == node_id),
                draining=node["NodeID"] in draining,
            )
            for node in nodes
        ]
        have = {node: resources for node, resources in have.items() if node not in draining}
        if have != self._capacities:
            self._capacities, self._last_change = have, time.monotonic()


def _machine(node: Mapping[str, Any], free: Mapping[str, float], is_local: bool) -> Machine:
    """A node of Ray. Of nodes other than this process's, Ray reports the memory at their start, not its use."""
    have = node["Resources"]
    cpus, gpus = have.get("CPU", 0.0), have.get("GPU", 0.0)
    memory = int(have.get("memory", 0) + have.get("object_store_memory", 0)) or None
    used = cpus - free.get("CPU", 0.0), gpus - free.get("GPU", 0.0)
    machine = Machine(node["NodeID"], node["NodeManagerHostname"], cpus, used[0], gpus, used[1], memory)
    host = this_machine() if is_local else machine
    return replace(machine, memory=host.memory, memory_used=host.memory_used)
