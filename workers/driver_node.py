"""Ray lets only a node of a cluster use it. A machine that is none becomes one: without CPUs, for one process alone.

The node is `ray start --block` in a process of its own, which ends when its standard input does: that is, with the
process that has started it, even if this one is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evornn.errors import EvornnError
from evornn.workers.head import head_client, live_nodes

START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 10.0
MIN_OBJECT_STORE, MAX_OBJECT_STORE = 80 * 10**6, 10**9  # bytes; Ray refuses less than 75 MB
PREFIX = "evornn-driver-"  # of the node's name, by which other processes know that it isn't theirs


@contextmanager
def cluster_node(address: str) -> Iterator[Path | None]:
    """Make this machine a node of a cluster while the context lasts, unless it is one.

    Args:
        address: Address of the cluster, host:port.

    Yields:
        The temporary folder of the new node, by which `ray.init` finds it; None: the machine is a node without it.

    Raises:
        EvornnError: The node didn't start.
    """
    if _is_node(address):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="ev-"))  # short: Ray puts sockets into it
    process = _start(address, folder)
    try:
        _await(address, folder, process)
        yield folder
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _is_node(address: str) -> bool:
    """Whether a node of the cluster runs on this machine, other than one for another process alone."""
    from ray._private.services import find_node_ids  # Ray has no other place for it

    local = find_node_ids()  # type: ignore[no-untyped-call]
    nodes = live_nodes(head_client(address))
    return any(node.node_id.hex() in local and not node.node_name.startswith(PREFIX) for node in nodes)


def _start(address: str, folder: Path) -> subprocess.Popen[bytes]:
    name = f"{PREFIX}{socket.gethostname()}-{os.getpid()}"
    command = [sys.executable, "-m", "evornn.workers.driver_node", "start", f"--address={address}", "--block"]
    command += ["--num-cpus=0", "--num-gpus=0", f"--node-name={name}", f"--temp-dir={folder}", "--disable-usage-stats"]
    command += [f"--object-store-memory={_object_store_bytes()}"]
    # Ports of its own, not Ray's fixed ones: several such nodes may run on one machine.
    command += ["--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={_free_port()}"]
    # Without tasks there is nothing to wait for at the end.
    environment = {**os.environ, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)


def _await(address: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
    client, deadline = head_client(address), time.monotonic() + START_TIMEOUT
    while not any(node.temp_dir == str(folder) for node in live_nodes(client)):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = [line.strip() for line in (folder / "log").read_text().splitlines() if line.strip()]
            raise EvornnError(
                f"this machine can't join the Ray cluster at {address} ({lines[-1] if lines else 'no reason given'}): "
                f"`ray start --address={address} --num-cpus=0 --block` here says more"
            )
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()  # its own processes end with it
        process.wait()


def _object_store_bytes() -> int:
    """Size of the node's shared memory: Ray would take a third of the machine's, and files where that is too much."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:  # not Linux
        return MAX_OBJECT_STORE
    return max(MIN_OBJECT_STORE, min(MAX_OBJECT_STORE, free * 9 // 10))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)  # on which Ray ends the node's processes


if __name__ == "__main__":
    from ray.scripts.scripts import cli

    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    cli(sys.argv[1:])
