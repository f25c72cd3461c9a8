"""Identities of dispatchers, from which another dispatcher on the same machine can tell whether the process still
lives."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


def current_identity() -> str:
    """machine:pid:start of this process. A later process with the same pid has another start time."""
    return f"{_machine_id()}:{os.getpid()}:{_start_time(os.getpid())}"


def is_running_here(owner: str) -> bool:
    """Whether an owner is a process that this machine, or this container, runs."""
    return owner.rpartition(":")[0].rpartition(":")[0] == _machine_id() and not is_dead(owner)


def is_dead(owner: str) -> bool:
    """Whether an owner is certainly dead: it is on this machine, and no process has its pid and start time."""
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
    """Host name, boot and PID namespace: containers may share the first two, but number processes differently."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:  # not Linux: there is one namespace
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_time(pid: int) -> str:
    """Start time of a process, on Linux in clock ticks since boot: psutil's changes whenever the wall clock is set.
    Raises NoSuchProcess when it has ended, as a zombie has."""
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(pid)
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return f"{process.create_time():.0f}"
