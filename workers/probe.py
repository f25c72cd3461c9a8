"""Checks whether an address can be reached."""

from __future__ import annotations

import socket


def probe(address: str) -> None:
    """Connect to host:port and close the connection. Raises OSError if that fails."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
