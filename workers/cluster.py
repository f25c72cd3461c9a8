"""Connecting to Ray: a private one on this machine, or a cluster that exists.

Ray reads how to authenticate when it is first imported, so this module sets the environment before.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evornn.errors import EvornnError
from evornn.service.executor import Executor

log = logging.getLogger(__name__)


@contextmanager
def executor(address: str | None = None, workers: int | None = None) -> Iterator[Executor]:
    """An executor on the cluster at `address`; without one on a Ray of our own with `workers` CPUs (None: all).

    A cluster that wants a token takes it from Ray's own settings (RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH).
    Raises EvornnError when the cluster can't be reached.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if address is not None:
        _connect(address)
        yield from _work()
        return
    with tempfile.TemporaryDirectory(prefix="evornn-ray-") as private:
        _start(_token(Path(private)), workers)
        yield from _work()


def _work() -> Iterator[Executor]:
    from evornn.workers.ray_executor import RayExecutor

    working = RayExecutor()
    try:
        yield working
    finally:
        working.close()


def _token(private: Path) -> Path:
    """A secret that only this user can read: Ray's own default file is readable by all."""
    file = private / "token"
    file.touch(0o600)
    file.write_text(secrets.token_hex(32))
    return file


def _start(token: Path, workers: int | None) -> None:
    """A Ray of our own, reachable from this machine only and with the token only."""
    if "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token":
        log.warning("ray was imported before: the local Ray runs without a token")
    else:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
    import ray

    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )


def _connect(address: str) -> None:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EvornnError(f"no Ray cluster at {address} ({reason}): check the address, or leave it out to run here") from None
