"""What can happen to the service: deaths, suspended machines, cuts of the network, full disks, and users who cancel."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress

from benchmarks.sites import Site
from benchmarks.victims import Victims, has_ended
from evornn.store.errors import StoreError
from evornn.store.store import Store

SUBMITTING = 1.0  # seconds after a job was handed to the server within which that is killed
AWAY = (0.5, 8.0)  # seconds until the database is started again, the network is back, or the disk has room
SUSPENDED = (32.0, 40.0)  # seconds for which a dispatcher hangs: beyond its leases
DISTURBANCES = (
    *("worker", "workers", "node", "dispatcher", "head", "server", "cancel", "zombie"),
    *("disk", "database", "network"),
)


class Disturbances:
    """Disturbs a service, and repairs later what does not mend itself.

    Args:
        store: Its store.
        site: The database.
        victims: Its processes.
        generator: Chooses victims and moments.
        submit: Hands a job to the server.
    """

    def __init__(
        self, store: Store, site: Site, victims: Victims, generator: random.Random, submit: Callable[[], None]
    ) -> None:
        self.store, self.site, self.victims = store, site, victims
        self.random, self.submit = generator, submit
        self._repairs: dict[str, tuple[float, Callable[[], object]]] = {}  # kind → when, and how
        self._cancelled: set[int] = set()  # runs to resume

    def is_possible(self, kind: str) -> bool:
        """Whether this can happen to this database."""
        needs = {"disk": self.site.disk, "database": self.site.postgres, "network": self.site.proxy}
        return needs.get(kind, True) is not None

    def apply(self, kind: str) -> bool:
        """Let it happen. Returns whether there was something to disturb."""
        if kind in self._repairs:
            return False
        return bool(getattr(self, f"_{kind}")())

    def repair(self) -> None:
        """Repair what is due."""
        for kind, (when, work) in list(self._repairs.items()):
            if time.monotonic() >= when:
                del self._repairs[kind]
                work()
        for run in list(self._cancelled):
            with suppress(StoreError):
                self.store.resume(run=run)
                if self.store.run(run).state not in ("cancelled", "cancelling"):
                    self._cancelled.discard(run)

    @property
    def are_over(self) -> bool:
        """Whether nothing is left to repair."""
        return not self._repairs and not self._cancelled

    def _later(self, kind: str, seconds: tuple[float, float], work: Callable[[], object]) -> bool:
        self._repairs[kind] = time.monotonic() + self.random.uniform(*seconds), work
        return True

    def _worker(self) -> bool:
        return self._kill_workers(1)

    def _workers(self) -> bool:
        return self._kill_workers(3)

    def _kill_workers(self, count: int) -> bool:
        workers = self.victims.workers()
        for worker in self.random.sample(workers, min(count, len(workers))):
            with suppress(Exception):  # it has ended meanwhile
                worker.kill()
        return bool(workers)

    def _node(self) -> bool:
        alive = [k for k, node in enumerate(self.victims.nodes) if k and not has_ended(node)]
        if alive:
            self.victims.kill_node(self.random.choice(alive))
        return bool(alive)

    def _head(self) -> bool:
        self.victims.kill_node(0)
        return True

    def _dispatcher(self) -> bool:
        k = self._living_dispatcher()
        if k is not None:
            self.victims.kill_dispatcher(k)
        return k is not None

    def _zombie(self) -> bool:
        """A dispatcher hangs until others have its runs, then it goes on as if nothing had been."""
        k = self._living_dispatcher()
        suspended = None if k is None else self.victims.suspend_dispatcher(k)
        return suspended is not None and self._later("zombie", SUSPENDED, lambda: self.victims.wake(suspended))

    def _living_dispatcher(self) -> int | None:
        alive = [k for k, process in enumerate(self.victims.dispatchers) if not has_ended(process)]
        return self.random.choice(alive) if alive else None

    def _server(self) -> bool:
        """While a job is submitted."""
        self.submit()
        time.sleep(self.random.uniform(0, SUBMITTING))
        self.victims.kill_server()
        return True

    def _cancel(self) -> bool:
        """A user cancels a run under way, and then resumes it."""
        try:
            running = [run.id for run in self.store.runs(state="running")]
            if not running:
                return False
            run = self.random.choice(running)
            self._cancelled.add(run)  # even where an error follows: it may have been cancelled
            return self.store.cancel(run=run) > 0
        except StoreError:
            return False

    def _disk(self) -> bool:
        assert self.site.disk is not None
        self.site.disk.fill()
        return self._later("disk", AWAY, self.site.disk.free)

    def _database(self) -> bool:
        assert self.site.postgres is not None
        self.site.postgres.kill()
        return self._later("database", AWAY, self._restart)

    def _restart(self) -> None:
        assert self.site.postgres is not None
        try:
            self.site.postgres.start()
        except RuntimeError:  # PostgreSQL can't recover on a full disk
            self._later("database", AWAY, self._restart)

    def _network(self) -> bool:
        """Between dispatchers and database."""
        assert self.site.proxy is not None
        self.site.proxy.cut()
        return self._later("network", AWAY, self.site.proxy.restore)
