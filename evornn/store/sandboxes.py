"""The processes that users' queries run in, one for each; see `sandbox_server.py`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from json import JSONDecodeError
from pathlib import Path
from threading import Lock
from typing import Any

HERE = Path(__file__).parent
GRACE = 3.0  # seconds beyond the deadline, then nobody waits any more


class Sandboxes:
    """Runs queries, any number at once. The server of the sandboxes starts with the first one, and again if it has
    ended; it ends with this process.

    Args:
        program: The sandbox: a file beside this one.
        options: Further options of its interpreter.
    """

    def __init__(self, program: str, options: Sequence[str] = ()) -> None:
        # isolated (-I) from the environment and the user's site packages
        self._command = [sys.executable, "-I", *options, str(HERE / "sandbox_server.py"), str(HERE / program)]
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, which has a `timeout` in seconds."""
        connection = self._connect()
        with connection, suppress(ConnectionError, JSONDecodeError):  # the sandbox ended before all was written
            connection.settimeout(request["timeout"] + GRACE)
            try:
                connection.sendall(json.dumps(request).encode())
                connection.shutdown(socket.SHUT_WR)
                with connection.makefile("rb") as file:
                    content = file.read()
            except TimeoutError:
                return {"error": f"the query took longer than {request['timeout']:g} s: narrow it with WHERE or LIMIT"}
            reply: dict[str, Any] = json.loads(content)
            return reply
        return {"error": "the query needs too much memory: narrow it with WHERE or LIMIT"}

    def close(self) -> None:
        """End the server of the sandboxes; the next query would start another one."""
        with self._lock:
            self._discard()

    def _connect(self) -> socket.socket:
        """A connection to a new sandbox."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._ensure(), [b"."], [theirs.fileno()])
            except OSError:  # the server was killed
                self._discard()
                socket.send_fds(self._ensure(), [b"."], [theirs.fileno()])
        return ours

    def _ensure(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    self._command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
        return self._control

    def _discard(self) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()  # which ends it
            self._process.wait()
        self._control = self._process = None
