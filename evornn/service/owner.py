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
    try:
        host, pid, start = owner.rsplit(":", 2)
        if host != socket.gethostname():
            return False
        process = psutil.Process(int(pid))
        return bool(process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - float(start)) > 0.05)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.AccessDenied):
        return False
