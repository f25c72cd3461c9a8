"""The queue against a model of it: any sequence of calls gives the states that a few plain lines give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from stores import checkpoint, result, row, submitted

from evornn.store.codec import digest, dumps, loads, merge_non_finite, split_non_finite
from evornn.store.errors import Fenced
from evornn.store.leases import TRIES
from evornn.store.store import open_store

RUNS = 3
numbers = st.integers(1, RUNS)


@dataclass
class Model:
    state: str = "queued"
    lease: int = 0
    silent: bool = False  # its lease is over as soon as it is given
    paused: bool = False  # waits before another try
    failures: int = 0
    mark: int = 0

    def let_go(self) -> None:
        self.state = "queued" if self.state == "running" else "cancelled"


class Queue(RuleBasedStateMachine):
    """Rules act on the store and on the model; leases may be stale."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    @initialize()
    def open(self) -> None:
        self.store = open_store(self.url)
        self.job = submitted(self.store, RUNS)
        self.runs = {number: Model() for number in range(1, RUNS + 1)}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    def sweep(self) -> None:
        for run in self.runs.values():
            if run.state in ("running", "cancelling") and run.silent:
                run.let_go()

    def ours(self, number: int, back: int) -> tuple[Model, int, bool]:
        run = self.runs[number]
        return run, run.lease - back, back == 0 and run.state in ("running", "cancelling")

    def attempt(self, ours: bool, call: Any) -> Any:
        if ours:
            return call()
        with pytest.raises(Fenced):
            call()
        return None

    @rule(silent=st.booleans())
    def claim(self, silent: bool) -> None:
        self.sweep()
        expected = next((n for n, run in self.runs.items() if run.state == "queued" and not run.paused), None)
        claim = self.store.claim("silent" if silent else "me", lease_seconds=-1 if silent else 1000)
        assert (claim and claim.run.id) == expected
        if claim is not None:
            run = self.runs[claim.run.id]
            run.state, run.lease, run.silent = "running", run.lease + 1, silent
            assert claim.lease == run.lease
            assert (claim.checkpoint.mark if claim.checkpoint else 0) == run.mark

    @rule(number=numbers, back=st.integers(0, 1))
    def record(self, number: int, back: int) -> None:
        run, lease, ours = self.ours(number, back)
        mark = run.mark + 1
        reply = self.attempt(ours, lambda: self.store.record(number, lease, [row(mark)], checkpoint(mark)))
        if reply:
            run.mark = mark
            assert reply.cancel_requested == (run.state == "cancelling")

    @rule(number=numbers, back=st.integers(0, 1))
    def finish(self, number: int, back: int) -> None:
        run, lease, ours = self.ours(number, back)
        self.attempt(ours, lambda: self.store.finish(number, lease, result()))
        if ours:
            run.state, run.mark = "succeeded", 0

    @rule(number=numbers, back=st.integers(0, 1), retry=st.booleans())
    def fail(self, number: int, back: int, retry: bool) -> None:
        run, lease, ours = self.ours(number, back)
        state = self.attempt(ours, lambda: self.store.fail(number, lease, "bug", retry))
        if ours:
            run.failures += 1
            again = retry and run.failures < TRIES
            run.state = "cancelled" if run.state == "cancelling" else "queued" if again else "failed"
            run.paused = run.state == "queued"
            assert state == run.state

    @rule(number=numbers, back=st.integers(0, 1))
    def release(self, number: int, back: int) -> None:
        run, lease, ours = self.ours(number, back)
        self.attempt(ours, lambda: self.store.release(number, lease))
        if ours:
            run.let_go()

    @rule(number=st.none() | numbers)
    def cancel(self, number: int | None) -> None:
        self.store.cancel(run=number) if number else self.store.cancel(job=self.job)
        for run in [self.runs[number]] if number else self.runs.values():
            run.state = {"queued": "cancelled", "running": "cancelling"}.get(run.state, run.state)
        self.sweep()

    @rule(keep=st.booleans())
    def again(self, keep: bool) -> None:
        (self.store.resume if keep else self.store.retry)(self.job)
        if keep:
            self.sweep()
        for run in self.runs.values():
            if run.state == "failed" or (keep and run.state == "cancelled"):
                run.state, run.failures, run.paused = "queued", 0, False
                run.mark = run.mark if keep else 0

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "store"):
            found = {run.id: (run.state, run.lease, run.failures) for run in self.store.runs()}
            assert found == {number: (run.state, run.lease, run.failures) for number, run in self.runs.items()}
            busy = {"me" for run in self.runs.values() if run.state in ("running", "cancelling") and not run.silent}
            assert set(self.store.live_owners()) == busy


@pytest.mark.parametrize(("database", "examples"), [("sqlite", 25), ("postgresql", 10)])
def test_the_queue(database: str, examples: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    def machine() -> Queue:
        if database == "sqlite":
            return Queue(f"sqlite:///{tmp_path}/{uuid4()}.db")
        return Queue(request.getfixturevalue("postgres").database(request.getfixturevalue("migrated")))

    health = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    steps = settings(max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=health)
    run_state_machine_as_test(machine, settings=steps)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("$float"), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_plain_data_comes_back(value: Any) -> None:
    assert repr(_sorted(loads(dumps(value)))) == repr(_sorted(value))
    assert "NaN" not in dumps(value) or "NaN" in repr(value)


@given(st.dictionaries(st.text(max_size=3), st.floats() | st.none(), max_size=5))
def test_numbers_come_back_from_finite_columns(values: dict[str, float | None]) -> None:
    columns, strange = split_non_finite(values)
    assert all(value is None or abs(value) < float("inf") for value in columns.values())
    assert repr(merge_non_finite(columns, strange)) == repr(values)


def test_the_digest_knows_no_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": [1.5, None], "a": 1}) != digest({"a": 1, "b": [1.5]})


@pytest.mark.parametrize("value", [{1: "x"}, object(), b"x", {"x": {1, 2}}])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
