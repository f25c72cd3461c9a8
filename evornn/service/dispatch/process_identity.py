"""Names of dispatchers, such that another one on the same machine can tell whether their process is still there."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


def current_identity() -> str:
    """machine:pid:start of this process; a later process with the same pid has another start."""
    return f"{_machine_id()}:{os.getpid()}:{_start_time(os.getpid())}"


def is_dead(owner: str) -> bool:
    """True only when it certainly is: on this machine, and no process with that pid and start."""
    try:
        machine, pid, start = owner.rsplit(":", 2)
        if machine != _machine_id() or int(pid) <= 0:
            return False
        return start != _start_time(int(pid))
    except psutil.NoSuchProcess:
        return True
    except (ValueError, OSError, psutil.AccessDenied):
        return False


@cache
def _machine_id() -> str:
    """Host name, boot and PID namespace: containers may share the first two, and then count processes differently."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:  # not Linux: there is one namespace
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_time(pid: int) -> str:
    """When a process started, on Linux in clock ticks since boot: the wall clock may be set meanwhile, and then psutil
    answers something else. Raises NoSuchProcess when it has ended; a zombie has."""
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return f"{process.create_time():.0f}"
