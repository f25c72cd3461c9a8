"""Whether a machine answers at an address."""

from __future__ import annotations

import socket


def probe(address: str) -> None:
    """Connect to host:port and hang up. Raises OSError when nobody answers."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
