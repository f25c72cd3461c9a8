"""Metrics for Prometheus: runs and dispatchers of the store, and requests of this server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evornn.errors import EvornnError
from evornn.service.reading.cluster_status import cluster_status
from evornn.store.records import Machine
from evornn.store.schema import STATES
from evornn.store.store import Store

FRESH = 5.0  # seconds for which counts of the store are reused
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one server."""

    def __init__(self, store: Store, folders: Collector | None = None) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StoreCollector(store))
        if folders is not None:
            self.registry.register(folders)
        self.requests = Counter(
            "evornn_http_requests_total",
            "Answered requests.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "evornn_http_request_seconds",
            "Seconds until the response started.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class StoreCollector(Collector):
    """Metrics of the store; if it can't be reached, only that."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._expires = 0.0
        self._metrics: list[Metric] = []

    def describe(self) -> list[Metric]:
        """Nothing, so that registering reads no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Current metrics of the store, or those of at most FRESH seconds ago."""
        if time.monotonic() > self._expires:
            self._metrics, self._expires = self._read_metrics(), time.monotonic() + FRESH
        yield from self._metrics

    def _read_metrics(self) -> list[Metric]:
        up = GaugeMetricFamily("evornn_database_up", "Whether the database can be reached.")
        try:
            metrics = [*self._runs(), *self._workers()]
            up.add_metric([], 1)
            return [up, *metrics]
        except EvornnError:
            up.add_metric([], 0)
            return [up]

    def _runs(self) -> Iterator[Metric]:
        runs = GaugeMetricFamily("evornn_runs", "Runs by state.", labels=["state"])
        counts = {state: self.store.count_runs(state=state) for state in STATES}
        for state, count in counts.items():
            runs.add_metric([state], count)
        yield runs
        queue = GaugeMetricFamily("evornn_queue_length", "Runs waiting to be claimed.")
        queue.add_metric([], counts["queued"])
        yield queue

    def _workers(self) -> Iterator[Metric]:
        workers = self.store.workers()
        status = cluster_status(workers)
        yield GaugeMetricFamily("evornn_dispatchers", "Live dispatchers.", value=status.dispatchers)
        yield GaugeMetricFamily(
            "evornn_dispatchers_able", "Live dispatchers with a machine that computes.", value=status.able
        )
        yield from _machines(status.machines)
        claims = CounterMetricFamily("evornn_claims", "Claims of runs.")
        claims.add_metric([], sum(worker.claims for worker in workers))
        yield claims


def _machines(machines: Sequence[Machine]) -> Iterator[Metric]:
    for name, what, values in (
        ("cpus", "CPUs of all machines.", [machine.cpus for machine in machines]),
        ("cpus_used", "CPUs in use by runs.", [machine.cpus_used for machine in machines]),
        ("gpus", "GPUs of all machines.", [machine.gpus for machine in machines]),
        ("gpus_used", "GPUs in use by runs.", [machine.gpus_used for machine in machines]),
    ):
        yield GaugeMetricFamily(f"evornn_{name}", what, value=sum(values))


class RequestCounter:
    """Counts requests by route, never by path: clients can invent any number of paths."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, int(message["status"]), time.monotonic() - start)
            await send(message)

        await self.app(scope, receive, counted)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)
