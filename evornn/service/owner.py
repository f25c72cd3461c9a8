"""Names of dispatchers, such that another one on the same machine can tell whether their process is still there."""

from __future__ import annotations

import socket

import psutil


def own_name() -> str:
    """host:pid:start of this process; a later process with the same pid has another start."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_dead(owner: str) -> bool:
    """True only when it certainly is: on this host, and no process with that pid and start."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")[0], *owner.rpartition(":")[1:]
    try:
        pid, start = int(owner.split(":")[-2]), float(rest)
    except (ValueError, IndexError):
        return False
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - start) > 0.05 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
