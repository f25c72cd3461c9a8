"""A run that is still under way: its network so far, and charts that grow by what is new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serving import serving
from stores import result, row, submitted

from benchmarks.dashboard import log_in
from benchmarks.live_pages import watch
from evornn.dashboards import run_live, run_network, run_searcher
from evornn.experiments.execute import load_task
from evornn.experiments.reporting import run_charts
from evornn.networks.network import Network
from evornn.service.reading.figures import draw_network
from evornn.store.errors import NotFound
from evornn.store.records import Claim, NewRun
from evornn.store.store import Store, open_store
from evornn.trainers import TRAINERS
from evornn.training.budget import Budget
from evornn.training.champion import load_champion
from evornn.training.loop import Run
from evornn.training.make_problem import make_problem
from evornn.training.records import Checkpoint, Row

TASK, NETWORK, TRAINER = {"kind": "sunspots"}, {"kind": "elman", "units": 3}, {"kind": "snes", "population": 4}
BUDGET = Budget(steps=200_000, marks=20)


@pytest.fixture(scope="module")
def said() -> list[tuple[Row, Checkpoint]]:
    """What a run says at its marks."""
    _, data = load_task(TASK)
    network = Network("elman", inputs=data.sizes[0], units=3, outputs=data.sizes[1])
    run = Run(network, data, TRAINERS.build(TRAINER, "trainer"), 0, BUDGET, data.loss, None)
    return [(found, run.save()) for found in run.rows() if found is not None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/evornn.db")


def claimed(store: Store, parameters: int = 1) -> Claim:
    fragments = {"task": TASK, "network": NETWORK, "trainer": TRAINER}
    new = NewRun("sunspots", "elman", "snes", fragments, 0, {"steps": 200_000, "marks": 20}, 0, parameters)
    store.submit({"name": "live", "tasks": [TASK]}, [new])
    claim = store.claim("me")
    assert claim is not None
    return claim


def test_a_checkpoint_tells_the_champion(said: list[tuple[Row, Checkpoint]]) -> None:
    """The genome that had the lowest validation loss, and of which generation it is the champion."""
    _, data = load_task(TASK)
    network = Network("elman", inputs=data.sizes[0], units=3, outputs=data.sizes[1])
    for found, checkpoint in (said[0], said[-1]):
        champion = load_champion(checkpoint)
        assert (champion.mark, champion.updates) == (found.mark, found.updates)
        losses = make_problem(network, data.valid, data.loss).losses(champion.genome[None])
        assert champion.champion_valid == found.champion_valid == float(losses[0])


def test_the_network_of_a_live_run_is_drawn(store: Store, said: list[tuple[Row, Checkpoint]]) -> None:
    """Nothing before the first mark, then the champion so far, also of a run that failed; at the end the result's."""
    (first, before), (last, after) = said[0], said[-1]
    claim = claimed(store, len(load_champion(before).genome))
    run, lease = claim.run.id, claim.lease
    assert draw_network(store, run) is None
    store.record(run, lease, [first], before)
    found = draw_network(store, run)
    assert found is not None and len(found.figures) >= 4
    assert (found.mark, found.updates, found.champion_valid) == (1, first.updates, first.champion_valid)
    store.record(run, lease, [last], after)
    later = draw_network(store, run)
    assert later is not None and later.mark == last.mark
    assert later.figures != found.figures
    store.fail(run, lease, "lost", retry=False)
    assert draw_network(store, run) == later
    store.resume(run=run)
    again = store.claim("me")
    assert again is not None
    store.finish(run, again.lease, result(genome=load_champion(after).genome, valid_loss=last.champion_valid))
    ended = draw_network(store, run)
    assert ended is not None and ended.figures == later.figures
    with pytest.raises(NotFound):
        draw_network(store, 99)


def test_an_untrained_network_is_not_drawn(store: Store, said: list[tuple[Row, Checkpoint]]) -> None:
    """Of a run that diverged the checkpoint holds the network before training: it is no result."""
    (found, checkpoint), claim = said[0], claimed(store)
    progress = {**checkpoint.plain["progress"], "champion_valid": float("inf")}
    lost = replace(checkpoint, plain={**checkpoint.plain, "progress": progress})
    store.record(claim.run.id, claim.lease, [replace(found, champion_valid=float("inf"))], lost)
    store.fail(claim.run.id, claim.lease, "diverged", retry=False)
    assert draw_network(store, claim.run.id) is None
    desk: Any = Drawer(store)
    assert "failed before its first budget mark with a finite loss" in str(
        run_network.content(desk, store.run(claim.run.id))
    )


class Drawer:
    """Counts how often pictures are asked for."""

    def __init__(self, store: Store) -> None:
        self.store, self.theme, self.caller_service, self.asked = store, "light", self, 0

    def draw_network(self, run: int) -> Any:
        self.asked += 1
        return draw_network(self.store, run)


def test_states_of_the_network(store: Store, said: list[tuple[Row, Checkpoint]]) -> None:
    """Each says what there is to see and when, and what no mark was reached for costs no drawing."""
    desk: Any = Drawer(store)
    submitted(store)
    assert "is queued" in str(run_network.content(desk, store.run(1)))
    claim = store.claim("me")
    assert claim is not None and "not reached yet" in str(run_network.content(desk, store.run(1)))
    store.fail(1, claim.lease, "lost", retry=False)
    assert "failed before its first" in str(run_network.content(desk, store.run(1)))
    assert desk.asked == 0
    claim = claimed(store, len(load_champion(said[0][1]).genome))
    store.record(claim.run.id, claim.lease, [said[0][0]], said[0][1])
    record = store.run(claim.run.id)
    found = run_network.content(desk, record)
    assert desk.asked == 1 and found["drawn"] == run_network.champion_key(record.champion_valid)
    assert run_network.PAUSE_MS <= found["pause"] <= run_network.LONGEST_MS
    assert found["words"] == run_network.caption(record) and "mark 1 of 20" in found["words"]
    store.fail(claim.run.id, claim.lease, "lost", retry=False)
    assert "before the run failed" in run_network.caption(store.run(claim.run.id))


def test_the_searchers_chart_grows_by_what_it_lacks(store: Store) -> None:
    """Drawn at once or bit by bit it is the same, and it is drawn again only when there is twice as much."""
    submitted(store)
    claim = store.claim("me")
    assert claim is not None
    desk: Any = SimpleNamespace(store=store, theme="light")
    seen, shown, drawn = {}, [], 0  # type: dict[str, Any], list[float], int
    for mark in range(1, 33):
        store.record(1, claim.lease, [row(mark, extra={"sigma": 1.0 / mark})])
        assert run_searcher.is_behind(seen, "updates", mark) == (mark > 1)
        found = run_searcher.new_points(desk, 1, "updates", seen)
        drawn += "figure" in found
        shown = list(found["figure"].data[0].y) if "figure" in found else shown + found["more"][0]["y"][0]
        seen = found["seen"]
    assert shown == [1.0 / mark for mark in range(1, 33)] and drawn == 6  # at 1, 2, 4, … 32 points
    assert run_searcher.new_points(desk, 1, "updates", seen) == {}
    store.record(1, claim.lease, [row(33, extra={"diversity": 1.0})])
    assert run_searcher.new_points(desk, 1, "updates", seen)["seen"]["names"] == ["diversity", "sigma"]
    assert not run_searcher.is_behind(seen, "seconds", 33), "another axis"
    assert not run_searcher.is_behind(seen, "updates", None), "begun anew"


def test_a_curve_from_a_mark_on(store: Store) -> None:
    """With its further numbers; the page draws these only."""
    submitted(store)
    claim = store.claim("me")
    assert claim is not None
    rows = [row(mark, extra={"sigma": float(mark)}) for mark in (1, 2, 5)]
    store.record(1, claim.lease, rows)
    assert store.curve(1, after=1) == rows[1:] and store.curve(1, after=5) == [] and store.curve(1) == rows
    more, traces = run_live.new_points(store.curve(1, after=2), "updates")["more"]
    assert more["x"][0] == [5] and len(traces) == len(run_charts.TRACES)
    assert run_live.new_points([], "updates") == {}


@pytest.mark.slow
def test_open_pages_get_each_point_once_and_the_curve_never_again(tmp_path: Path) -> None:
    """Over HTTP, with every kind of tab; `watched` compares what the pages show with what the store has."""
    url = f"sqlite:///{tmp_path}/evornn.db"
    with open_store(url) as store, serving(url) as server:
        found = watch(store, server, log_in, 4, 5.0)
    assert found["points"] > 4 and found["whole_curves"] == 0
    assert found["searcher"]["with_news"] > 0 and found["network"]["with_news"] > 0
