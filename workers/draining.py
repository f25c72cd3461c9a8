"""Drains nodes: Ray places nothing more there, runs return to the queue at their next checkpoint, and the node leaves
the cluster once it is idle. A node that gets SIGTERM drains itself in the same way, for as many seconds as
RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S says (30)."""

from __future__ import annotations

import time
from typing import Any

from evornn.errors import EvornnError
from evornn.workers.head import REQUEST_TIMEOUT, head_client, live_nodes

CHECK_INTERVAL = 1.0  # seconds between two questions to the head


def drain(address: str, name: str) -> str:
    """Drain a node.

    Args:
        address: Address of the cluster, host:port.
        name: Name or IP address of the node's machine, or the beginning of its identifier.

    Returns:
        The node's name and identifier.

    Raises:
        EvornnError: There is no such node, it is the head, or the name fits several.
    """
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]

    client = head_client(address)
    node = _find(live_nodes(client), name)
    if node.is_head_node:
        raise EvornnError(
            f"{name} is the head: without it there is no cluster: stop the dispatchers, then `ray stop` there"
        )
    accepted, reason = client.drain_node(
        node.node_id.hex(), DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION, "evornn drain", 0, timeout=REQUEST_TIMEOUT
    )
    if not accepted:
        raise EvornnError(f"Ray refuses to drain {name} ({reason}): ask again later")
    return f"{node.node_manager_hostname} ({node.node_id.hex()[:12]})"


def draining_nodes() -> set[str]:
    """Identifiers of the nodes that are drained, in the cluster that this process is connected to."""
    from ray._private.state import state  # Ray has no other place for it

    return set(state.get_draining_nodes())


class DrainWatch:
    """Whether the node of this process is drained."""

    def __init__(self) -> None:
        import ray

        self._node = ray.get_runtime_context().get_node_id()
        self._next_check = 0.0

    def is_draining(self) -> bool:
        """Ask the head, unless it was asked a moment ago: then False."""
        if time.monotonic() < self._next_check:
            return False
        self._next_check = time.monotonic() + CHECK_INTERVAL
        return self._node in draining_nodes()


def _find(nodes: list[Any], name: str) -> Any:
    """The one node with a name that computes. Raises EvornnError."""
    nodes = [node for node in nodes if node.resources_total.get("CPU") or node.resources_total.get("GPU")]
    matches = [
        node
        for node in nodes
        if name in (node.node_manager_hostname, node.node_manager_address) or node.node_id.hex().startswith(name)
    ]
    if len(matches) == 1:
        return matches[0]
    known = (
        ", ".join(f"{node.node_manager_hostname} ({node.node_id.hex()[:12]})" for node in matches or nodes) or "none"
    )
    what = f"{name} names several nodes" if matches else f"no node {name} that computes"
    raise EvornnError(f"{what}: name one of {known}")
