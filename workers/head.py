"""Asks the head of a Ray cluster about its nodes, without being connected to it. Ray has no public call for this."""

from __future__ import annotations

from typing import Any

REQUEST_TIMEOUT = 30  # seconds


def head_client(address: str) -> Any:
    """A client of the head at host:port. Raises ConnectionError, ValueError or RuntimeError."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    return GcsClient(address=address)


def live_nodes(client: Any) -> list[Any]:
    """The live nodes, each with node_id, node_name, node_manager_hostname, node_manager_address, resources_total, …"""
    from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]

    alive = GcsNodeInfo.GcsNodeState.ALIVE
    return list(client.get_all_node_info(timeout=REQUEST_TIMEOUT, state_filter=alive).values())
