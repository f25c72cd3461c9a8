"""`evornn dispatch`: processes the queue until stopped.

SIGTERM or Ctrl-C release active runs, which resume from their checkpoints; a second one ends the process at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.options import DEFAULT, Address, Json, Store, Workers

if TYPE_CHECKING:
    from evornn.service.dispatch.dispatcher import Dispatcher
    from evornn.store import store as stores
    from evornn.store.records import StoredRun
    from evornn.training.records import Update

log = logging.getLogger("evornn.dispatch")
LOG_INTERVAL = 10.0  # seconds between lines of progress


def dispatch(
    store: Store = DEFAULT,
    address: Address = None,
    workers: Workers = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of runs at once; default: as many as the CPUs allow.")
    ] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="Stop when all runs have finished.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Start none: exit with status 1 unless one that runs here has a cluster.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Process the queue: claim runs, compute them on Ray, and record their results."""
    if check:
        _check_dispatcher(store)
        return
    from evornn import library
    from evornn.service.dispatch.dispatcher import Dispatcher

    _log_to_stderr(as_json)
    library.prepare(workers, address)
    with _wait_for_store(store) as database, library.subprocess_executor(workers, address, slots) as executor:
        dispatcher = Dispatcher(database, executor, LoggingListener(), slots=slots, patience=float("inf"))
        with _stop_on_signals(dispatcher):
            log.info("%s processes the queue of %s", dispatcher.owner, database.display_url)
            dispatcher.work(until_empty=until_empty)
    log.info("stopped; active runs will resume from their checkpoints")


def _check_dispatcher(url: str) -> None:
    """Raises EvornnError if no dispatcher of this machine or container has a cluster, or the store can't be reached."""
    from evornn.errors import EvornnError
    from evornn.service.reading.cluster_status import problem_here
    from evornn.store.store import open_store

    with open_store(url, create=False) as database:
        problem = problem_here(database.workers())
    if problem is not None:
        raise EvornnError(problem)
    print("a dispatcher runs here, and is connected to a cluster")


class LoggingListener:
    """A listener that logs claims and ends of runs, and their overall progress now and then."""

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}  # network steps of the active runs
        self._ends: Counter[str] = Counter()
        self._done, self._at = 0, time.monotonic()  # network steps since the last line

    def on_claim(self, run: StoredRun) -> None:
        """Log a claim."""
        self._steps[run.id] = run.network_steps or 0
        log.info("run %d claimed: %s, %s, %s, seed %d", run.id, run.task, run.network, run.trainer, run.seed)

    def on_update(self, run: StoredRun, update: Update) -> None:
        """Count network steps; log the overall progress if that is due."""
        self._done += max(0, update.network_steps - self._steps.get(run.id, 0))
        self._steps[run.id] = update.network_steps
        if (seconds := time.monotonic() - self._at) >= LOG_INTERVAL:
            ends = ", ".join(f"{count} {state}" for state, count in sorted(self._ends.items())) or "none finished yet"
            log.info("%d runs active, %s, %.3g M steps/s", len(self._steps), ends, self._done / seconds / 1e6)
            self._done, self._at = 0, time.monotonic()

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        """Log the end of a run.

        Args:
            run: The run.
            state: As in `Listener.on_end`.
            reason: Why it ended.
        """
        self._steps.pop(run.id, None)
        self._ends[state] += 1
        level = logging.WARNING if state in ("failed", "lost") else logging.INFO
        log.log(level, "run %d %s%s", run.id, state, f": {reason}" if reason else "")


class JsonFormatter(logging.Formatter):
    """A log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and message."""
        return json.dumps({"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()})


def _log_to_stderr(as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("evornn")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of every statement after one that failed


def _wait_for_store(url: str) -> stores.Store:
    """Open the store; wait until its database can be reached."""
    from evornn.store.errors import Unreachable
    from evornn.store.store import open_store

    while True:
        try:
            return open_store(url)
        except Unreachable as error:
            log.warning("%s", error)
            time.sleep(2)


@contextmanager
def _stop_on_signals(dispatcher: Dispatcher) -> Iterator[None]:
    def stop_gracefully(number: int, frame: Any) -> None:
        for known in before:
            signal.signal(known, exit_now)
        dispatcher.stop()

    def exit_now(number: int, frame: Any) -> None:
        os._exit(130)

    before = {number: signal.signal(number, stop_gracefully) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
