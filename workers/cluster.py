"""Connects to Ray: a private one on this machine, or an existing cluster.

Ray reads its authentication settings when it is first imported, so this module sets them in the environment before.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from evornn import cache
from evornn.errors import EvornnError
from evornn.service.executors.executor import Executor
from evornn.workers.probe import probe

log = logging.getLogger(__name__)

GRACE = 120.0  # seconds without change until a cluster counts as complete: its nodes start one by one
HEALTH = {  # Ray's head checks its nodes once a second; its defaults notice a dead node after half a minute
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
# Of workers. A private Ray inherits them: a worker for an environment of its own would be one more process to start.
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextmanager
def executor(address: str | None = None, workers: int | None = None, slots: int | None = None) -> Iterator[Executor]:
    """Create an executor on a Ray cluster.

    Args:
        address: Address of the cluster, host:port; None: a private Ray on this machine.
        workers: CPUs of a private Ray; None: all.
        slots: Fill so many CPUs; None: as many as the cluster has.

    Yields:
        The executor.

    Raises:
        EvornnError: Ray is not installed, or the cluster can't be reached.
    """
    prepare(address)
    with ExitStack() as stack:
        with _keep_sigterm_handler():
            _start(workers) if address is None else _connect(address, stack)
        from evornn.workers.ray_executor import RayExecutor

        ray_executor = RayExecutor(slots, grace=0.0 if address is None else GRACE)
        stack.callback(ray_executor.close)
        yield ray_executor


@contextmanager
def _keep_sigterm_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by its own, which aborts with a stack trace."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def prepare(address: str | None) -> None:
    """Set Ray's environment variables, before anything imports Ray (EvoTorch does).

    A private Ray gets a token that only this user can read (Ray's own file is readable by all). The token of a cluster
    comes from Ray's own settings, RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH. Raises EvornnError if Ray is not
    installed.
    """
    if find_spec("ray") is None:
        raise EvornnError("Ray is not installed: pip install ray, or use --workers 0 to run in this process")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if address is None and "ray" not in sys.modules:
        os.environ.update(HEALTH, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(_token_file()))


def _token_file() -> Path:
    """The file of our token: in the cache of this user's home, or in a temporary folder where that can't be written.

    Raises EvornnError where neither can."""
    reason = ""
    for make in (_home_folder, _temporary_folder):
        try:
            return _write_token(make() / "ray-token")
        except OSError as error:
            reason = reason or str(error)
    raise EvornnError(
        f"the token of a local Ray can't be written ({reason}): set XDG_CACHE_HOME to a folder that can be written, or "
        "use --workers 0"
    )


def _home_folder() -> Path:
    """Not EVORNN_CACHE, which several users may share."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evornn"
    except RuntimeError:
        raise FileNotFoundError(cache.NO_HOME) from None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary_folder() -> Path:
    folder = cache.temporary_folder("ray")
    cache.make_private(folder)
    return folder


def _write_token(file: Path) -> Path:
    if not file.exists():
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.touch(0o600)
        temporary.write_text(secrets.token_hex(32))
        temporary.replace(file)
    return file


def _start(workers: int | None) -> None:
    """Start a private Ray. It listens on all interfaces (only its address is local), so what keeps others out is our
    token; without one if Ray was imported before."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        log.warning("ray was imported before evornn could set its token: the local Ray runs without one")
    import ray

    if ray.is_initialized():
        raise EvornnError("this process is already connected to a Ray: call ray.shutdown() first")
    os.environ.update(SINGLE_THREADED)
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )


def _connect(address: str, stack: ExitStack) -> None:
    """Connect to a cluster. A node that this machine becomes for it lasts as long as the stack. Raises EvornnError."""
    import ray

    from evornn.workers.driver_node import cluster_node

    has_port = address.rpartition(":")[2].isdigit()  # unlike auto, or a name that Ray resolves: a node on this machine
    if has_port:
        _check_reachable(address)
    with _explained(address):
        folder = stack.enter_context(cluster_node(address)) if has_port else None
        temporary = None if folder is None else str(folder)
        ray.init(
            address=address,
            runtime_env={"env_vars": SINGLE_THREADED},
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=temporary,
        )


def drain(address: str, node: str) -> str:
    """Drain a node, see `evornn.workers.draining.drain`.

    Args:
        address: Address of the cluster, host:port.
        node: Name or IP address of the node's machine, or the beginning of its identifier.

    Returns:
        The node's name and identifier.

    Raises:
        EvornnError: Ray is not installed, the cluster can't be reached, or has no such node.
    """
    prepare(address)
    _check_reachable(address)
    from evornn.workers import draining

    with _explained(address):
        return draining.drain(address, node)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn Ray's errors into one that says what to do."""
    from ray.exceptions import RayError

    try:
        yield
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:  # a RayError: the token is another one
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EvornnError(
            f"can't connect to a Ray cluster at {address} ({reason}): check the address, and that RAY_AUTH_MODE=token "
            "and RAY_AUTH_TOKEN_PATH name the cluster's token; or leave the address out to run here"
        ) from None


def _check_reachable(address: str) -> None:
    """Check that the head can be reached, since Ray would try for minutes. Raises EvornnError."""
    try:
        probe(address)
    except (OSError, OverflowError, ValueError) as error:
        raise EvornnError(
            f"no Ray cluster at {address} ({error}): check the address, or leave it out to run here"
        ) from None
