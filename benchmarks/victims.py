"""Real processes to be killed: the nodes of a Ray cluster on this machine, their workers, dispatchers and a server."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from evornn.workers.cluster import HEALTH

MARK = "EVORNN_VICTIM_OF"  # in the environment of every process, to find them all at the end
EVORNN = "from evornn.cli import main; main()"


class Victims:
    """A Ray cluster, dispatchers, a server. At the end of the `with` nothing of it is left, whatever happened.

    The first node is the head. Every node has `cpus` CPUs, so that a run takes one.
    """

    def __init__(self, nodes: int = 3, cpus: int = 1) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ev-"))  # short: Ray puts sockets into it
        self.address, self._cpus = f"127.0.0.1:{free_port()}", cpus
        self._environment = {**os.environ, **HEALTH, **self._token(), MARK: self.folder.name}
        self.nodes: list[subprocess.Popen[bytes] | None] = [None] * nodes
        self.dispatchers: list[subprocess.Popen[bytes] | None] = []
        self.server: subprocess.Popen[bytes] | None = None
        self.dispatched, self.store, self.port = "", "", free_port()  # stores of the dispatchers and of the server
        self.secret = secrets.token_hex(32)  # the server's token

    def __enter__(self) -> Self:
        try:
            self.mend()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        deadline = time.monotonic() + 20
        while (left := list(self.processes())) and time.monotonic() < deadline:
            kill(left)
            time.sleep(0.1)
        for process in (*self.nodes, *self.dispatchers, self.server):
            if process is not None:
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> Iterator[psutil.Process]:
        """All that was started from here, and what these have started."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.folder.name and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def workers(self) -> list[psutil.Process]:
        """Those that compute a run."""
        return [p for p in self.processes() if _words(p).startswith("ray::run")]

    def logs(self) -> str:
        """What dispatchers have logged."""
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("dispatcher*")))

    def dispatch(self, count: int, store: str) -> None:
        """Keep so many dispatchers for a store."""
        self.dispatched, self.dispatchers = store, [None] * count
        self.mend()

    def serve(self, store: str) -> str:
        """Keep a server for a store. Answers its URL."""
        self.store, self.server = store, self._server()
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        """Start what isn't there, as a supervisor does."""
        if has_ended(self.nodes[0]):  # the others can't live without a head
            # Ray notes where the last head was, and refuses another one there while nodes of that one are still alive.
            (self.folder / "ray_current_cluster").unlink(missing_ok=True)
            port = self.address.rpartition(":")[2]
            self.nodes[0] = self._node("--head", f"--port={port}", "--include-dashboard=false")
            self._await()
        self.nodes[1:] = [self._node(f"--address={self.address}") if has_ended(n) else n for n in self.nodes[1:]]
        self.dispatchers = [self._dispatcher(k) if has_ended(d) else d for k, d in enumerate(self.dispatchers)]
        if self.server is not None and has_ended(self.server):
            self.server = self._server()

    def kill_node(self, k: int) -> None:
        """A machine's end: of all its processes at once. The first is the head."""
        node = self.nodes[k]
        if node is not None and node.poll() is None:
            kill([psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)])
            node.wait()

    def kill_dispatcher(self, k: int) -> None:
        """SIGKILL; the process in which it talks to Ray must follow by itself."""
        dispatcher = self.dispatchers[k]
        if dispatcher is not None:
            dispatcher.send_signal(signal.SIGKILL)
            dispatcher.wait()

    def suspend_dispatcher(self, k: int) -> subprocess.Popen[bytes] | None:
        """SIGSTOP to a dispatcher and its children: a machine that hangs. Returns the dispatcher, for `wake`."""
        dispatcher = self.dispatchers[k]
        if dispatcher is None or has_ended(dispatcher):
            return None
        for process in _family(dispatcher.pid):
            process.suspend()
        return dispatcher

    def wake(self, dispatcher: subprocess.Popen[bytes]) -> None:
        """SIGCONT, unless it has died meanwhile."""
        for process in _family(dispatcher.pid):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def kill_server(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()

    def _node(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *options]
        command += [f"--num-cpus={self._cpus}", "--num-gpus=0", "--node-ip-address=127.0.0.1"]
        command += ["--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={free_port()}"]
        command += [f"--object-store-memory={80 * 2**20}", f"--temp-dir={self.folder}"]
        return self._start("nodes", command)

    def _dispatcher(self, k: int) -> subprocess.Popen[bytes]:
        options = ["dispatch", "--store", self.dispatched, "--address", self.address]
        return self._start(f"dispatcher{k}", [sys.executable, "-c", EVORNN, *options])

    def _server(self) -> subprocess.Popen[bytes]:
        file = self.folder / "server-token"
        file.touch(0o600)
        file.write_text(self.secret)
        options = ["serve", "--store", self.store, "--port", str(self.port), "--token-file", str(file)]
        return self._start("server", [sys.executable, "-c", EVORNN, *options])

    def _start(self, log: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, env=self._environment, start_new_session=True)

    def _token(self) -> dict[str, str]:
        file = self.folder / "token"
        file.touch(0o600)
        file.write_text(secrets.token_hex(32))
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file), "RAY_USAGE_STATS_ENABLED": "0"}

    def _await(self) -> None:
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or has_ended(self.nodes[0]):
                    raise RuntimeError(f"Ray did not start:\n{(self.folder / 'nodes').read_text()}") from None
                time.sleep(0.1)


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL, and wait until they are gone: only then are their ports free."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    """A zombie that nobody has asked for is dead."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def has_ended(process: subprocess.Popen[bytes] | None) -> bool:
    return process is None or process.poll() is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
