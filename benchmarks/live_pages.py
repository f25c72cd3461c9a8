"""Open pages of live runs, as a browser has them: each asks once a second for what is new, and keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import httpx
import psutil

from benchmarks.live_runs import live_runs
from evornn.dashboards.run_network import PAUSE_MS
from evornn.store.records import RunId
from evornn.store.store import Store
from tests.support.serving import Server

TICK = 1.0  # seconds, as the pages' own clock has it
NEW = {"curve": "run-curve", "searcher": "run-searcher-chart", "network": "run-network"}  # what has it, if there is any
PARTS = (0.0, 0.1, 0.5, 1.0)  # of the time, after which memory is looked at


def tab_of(page: int) -> str:
    """Of ten pages one shows the network, three the searcher, the others the curve."""
    return "Network" if page % 10 == 3 else "Searcher" if page % 3 == 1 else "Curve"


@dataclass
class CallStats:
    """What one kind of question cost."""

    seconds: list[float] = field(default_factory=list)
    size: list[int] = field(default_factory=list)  # bytes of answers that had something new


class LivePage:
    """The page of one run. `shown` is what its curve has, as the times when its points were written."""

    def __init__(self, client: httpx.Client, run: RunId, tab: str) -> None:
        self.client, self.tab = client, tab
        self.listed = client.get("/ui/_dash-dependencies").json()
        self.known: dict[str, Any] = {
            "run-number.data": run, "run-seen.data": {}, "run-searcher-seen.data": {}, "run-x.value": "seconds",
            "run-log-y.checked": True, "run-tabs.value": tab,
        }  # fmt: skip
        self.shown: list[float] = []
        self.ages: list[float] = []  # seconds from the moment a point was written until the page had it
        self.drawn = 0  # curves that came as a whole
        self.stats = {name: CallStats() for name in NEW}
        self.network_at = 0.0

    def look(self) -> None:
        """One tick of the page's clock."""
        self.curve(self.ask("curve", "run-curve.extendData", "run-tick.n_intervals"))
        if self.tab == "Searcher":
            self.ask("searcher", "run-searcher-chart.extendData", "run-searcher-tick.n_intervals")
        if self.tab == "Network" and time.monotonic() >= self.network_at:
            told = self.ask("network", "run-network.children", "run-network-tick.n_intervals")
            pause = told.get("run-network-tick", {}).get("interval", PAUSE_MS)
            self.network_at = time.monotonic() + pause / 1000

    def curve(self, answer: dict[str, Any]) -> None:
        told = answer.get("run-curve", {})
        if "figure" in told:
            self.drawn, self.shown = self.drawn + 1, list(told["figure"]["data"][0]["x"])
        if "extendData" in told:
            new, now = told["extendData"][0]["x"][0], time.monotonic()
            self.shown += new
            self.ages += [now - at for at in new]

    def ask(self, kind: str, output: str, because: str) -> dict[str, Any]:
        """One callback, as the page's program sends it; what is answered is there for the next one."""
        callback = next(one for one in self.listed if output in one["output"].strip(".").split("..."))
        body = {"output": callback["output"], "outputs": outputs(callback["output"]), "changedPropIds": [because]}
        body |= {name: [self.fill(part) for part in callback[name]] for name in ("inputs", "state")}
        begin = time.perf_counter()
        answer = self.client.post("/ui/_dash-update-component", json=body).raise_for_status()
        self.stats[kind].seconds.append(time.perf_counter() - begin)
        props_by_id: dict[str, Any] = answer.json()["response"] if answer.content else {}
        self.known |= {f"{name}.{what}": value for name, props in props_by_id.items() for what, value in props.items()}
        if NEW[kind] in props_by_id:
            self.stats[kind].size.append(answer.num_bytes_downloaded)
        return props_by_id

    def fill(self, part: dict[str, str]) -> dict[str, Any]:
        return {**part, "value": self.known.get(f"{part['id']}.{part['property']}")}


def outputs(text: str) -> list[dict[str, str]]:
    """`..a.b...c.d..` → [{"id": "a", "property": "b"}, …]"""
    pairs = [part.split("@")[0].rpartition(".") for part in text.strip(".").split("...")]
    return [{"id": name, "property": what} for name, _, what in pairs]


def watch(
    store: Store, server: Server, logged_in: Callable[[Server], httpx.Client], count: int, seconds: float
) -> dict[str, Any]:
    """So many pages of as many live runs, open for so long. Raises SystemExit where a page shows another curve than the
    store has."""
    with live_runs(store, count) as runs, ThreadPoolExecutor(count) as pool:
        clients = [logged_in(server) for _ in runs.runs]
        pages = [
            LivePage(client, run, tab_of(k)) for k, (client, run) in enumerate(zip(clients, runs.runs, strict=True))
        ]
        end = time.monotonic() + seconds
        busy = [pool.submit(stay, page, end, k * TICK / count) for k, page in enumerate(pages)]
        memory = watch_memory(server, seconds)
        for one in busy:
            one.result()
        runs.stop()
        for page, client in zip(pages, clients, strict=True):
            with closing(client):
                page.look()
        wrong = [run for page, run in zip(pages, runs.runs, strict=True) if page.shown != times(store, run)]
    if wrong:
        raise SystemExit(f"the curves of runs {wrong} lack points, or have some twice")
    return {"pages": count, "seconds": seconds, **memory, **summary(pages)}


def stay(page: LivePage, end: float, later: float) -> None:
    """Open the page, and look once a second; where an answer takes longer, the next look comes at once."""
    time.sleep(later)
    due = time.monotonic()
    while due < end:
        page.look()
        due = max(due + TICK, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def watch_memory(server: Server, seconds: float) -> dict[str, Any]:
    """MB of the server, and of its helper, after parts of the time."""
    process, begin, samples = psutil.Process(server.process.pid), time.monotonic(), []
    for part in PARTS:
        time.sleep(max(0.0, begin + part * seconds - time.monotonic()))
        helpers = sum(one.memory_info().rss for one in process.children(recursive=True))
        samples.append([part * seconds, round(process.memory_info().rss / 2**20, 1), round(helpers / 2**20, 1)])
    return {"memory_mb": samples, "growth_mb": round(samples[-1][1] - samples[1][1], 1)}


def times(store: Store, run: RunId) -> list[float]:
    return [row.seconds for row in store.curve(run)]


def summary(pages: Sequence[LivePage]) -> dict[str, Any]:
    """All pages together; the first answer of each, which is the whole page, is left out."""
    totals: dict[str, Any] = {"points": sum(len(page.shown) for page in pages)}
    totals["whole_curves"] = sum(page.drawn - 1 for page in pages)
    totals["age_ms"] = percentiles([1000 * age for page in pages for age in page.ages])
    for kind in NEW:
        stats = [page.stats[kind] for page in pages if page.stats[kind].seconds]
        totals[kind] = {
            "answers": sum(len(one.seconds) for one in stats),
            "with_news": sum(len(one.size) for one in stats),
            "answer_ms": percentiles([1000 * took for one in stats for took in one.seconds[1:]]),
            "bytes": percentiles([size for one in stats for size in one.size[1:]]),
        }
    sizes = [page.stats["curve"].size[1:] for page in pages]
    totals["curve"]["bytes_first"] = tenth(sizes, first=True)
    totals["curve"]["bytes_last"] = tenth(sizes, first=False)
    return totals


def tenth(sizes: Sequence[Sequence[int]], first: bool) -> float:
    """The median size of the first or last tenth of each page's answers."""
    cut = [max(1, len(one) // 10) for one in sizes]
    return median([size for one, n in zip(sizes, cut, strict=True) for size in (one[:n] if first else one[-n:])])


def percentiles(values: Sequence[float]) -> list[float]:
    """[median, 99 of 100 are below, largest]"""
    ordered = sorted(values)
    return (
        [round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) for share in (0.5, 0.99, 1.0)]
        if ordered
        else []
    )
