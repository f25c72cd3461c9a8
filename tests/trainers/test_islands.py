"""Islands: alone, migration, and one question for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from small_specs import small_spec
from sphere_oracle import SphereOracle, round_trip, run, same, sphere
from trainer_specs import POPULATIONS, build_small

from evornn.arrays import Streams
from evornn.trainers import TRAINERS
from evornn.trainers.core.hybrid import InjectingOracle
from evornn.trainers.core.trainer import State


class Timeless(SphereOracle):
    """What cools over the budget doesn't notice that others spend it too."""

    elapsed = 0.0  # type: ignore[assignment]


def shores(state: State) -> list[State]:
    return list(state["islands"].values())


@pytest.mark.parametrize("kind", POPULATIONS)
def test_islands_that_nobody_leaves_are_trainers_of_their_own(kind: str) -> None:
    """Whether they are asked together or one after the other."""
    trainer, streams = build_small(kind, population=6), Streams(1)
    state = run(TRAINERS["islands"](trainer=trainer, count=3, every=100), 5, Timeless())
    for k, own in enumerate(shores(state)):
        alone = trainer.start(Timeless(), streams.child(f"island/{k}"))
        for _ in range(5):
            alone = trainer.step(alone, Timeless(), streams.child(f"island/{k}"))
        assert same(round_trip(own), round_trip(alone))
    assert not same(round_trip(shores(state)[0]), round_trip(shores(state)[1]))


@pytest.mark.parametrize("kind", POPULATIONS)
def test_the_best_of_an_island_arrives_at_the_next_one(kind: str) -> None:
    """As the last member it asks about: that of the epoch before, whatever the neighbour does now."""
    spec = {"kind": "islands", "trainer": small_spec(TRAINERS, kind, population=6), "count": 3, "every": 2}
    oracle, trainer, arrived = SphereOracle(), TRAINERS.build(spec), []
    state = run(trainer, 0, oracle)
    for _ in range(7):
        before, asked = [own["best"] for own in shores(state)], len(oracle.asked)
        state = run(trainer, 1, oracle, state=state)
        asked_now = np.split(np.concatenate(oracle.asked[asked:]), 3)
        arrived.append([np.array_equal(asked_now[i][-1], before[i - 1]) for i in range(3)])
    assert arrived == [[k > 0 and k % 2 == 0] * 3 for k in range(7)]


def test_a_generation_of_all_islands_is_one_question() -> None:
    oracle = SphereOracle()
    run(TRAINERS.build({"kind": "islands", "trainer": {"kind": "snes", "population": 5}, "count": 4}), 6, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [20] * 6
    oracle, batched = SphereOracle(), {"kind": "genetic_algorithm", "population": 5, "batch": 4}
    run(TRAINERS.build({"kind": "islands", "trainer": [{"kind": "snes", "population": 6}, batched]}), 3, oracle)
    assert [len(genomes) for genomes in oracle.asked] == [6, 5, 6, 10, 6, 10], "one for each batch"


def test_an_island_waits_for_nothing_but_the_epoch_before() -> None:
    """Computed one by one, an epoch at a time and the last one first, from what there was at the epoch's beginning."""
    inner, K, every = TRAINERS.build({"kind": "cma_es"}), 3, 4
    state = run(TRAINERS["islands"](trainer=inner, count=K, every=every), 3 * every)
    streams = [Streams(1).child(f"island/{k}") for k in range(K)]
    states = [inner.start(SphereOracle(), s) for s in streams]
    for epoch in range(3):
        after = list(states)
        for k in reversed(range(K)):
            for generation in range(every):
                comes = epoch > 0 and generation == 0
                oracle = InjectingOracle(SphereOracle(), states[k - 1]["best"]) if comes else SphereOracle()
                after[k] = inner.step(after[k], oracle, streams[k])
        states = after
    assert all(same(round_trip(a), round_trip(b)) for a, b in zip(shores(state), states, strict=True))


def test_islands_answer_with_the_best_of_all() -> None:
    oracle = SphereOracle()
    trainer = TRAINERS.build({"kind": "islands", "trainer": {"kind": "snes", "population": 6}, "every": 3})
    state = run(trainer, 8, oracle)
    judged = np.concatenate(oracle.asked)
    assert_array_equal(trainer.best(state), judged[np.argmin(sphere(judged))])
    found = sphere(trainer.candidates(state))
    assert len(found) == 4 and (np.diff(found) >= 0).all()
