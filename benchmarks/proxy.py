"""A TCP proxy whose network can be cut: nothing gets through, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from benchmarks.victims import free_port


class Proxy:
    """Forwards connections to a port of this machine.

    Args:
        target: The port.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on no byte gets through, in either direction."""
        self._open.clear()

    def restore(self) -> None:
        """New connections get through; those from before the cut are lost."""
        for one in list(self._sockets):
            self._close(one)
        self._open.set()

    def close(self) -> None:
        """Stop forwarding."""
        self._close(self._listener)
        self.restore()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._sockets.add(client)
        self._open.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            self._close(client)
            return
        self._sockets.add(server)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        self._close(source)
        self._close(target)

    def _close(self, one: socket.socket) -> None:
        self._sockets.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
