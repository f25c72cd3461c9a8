"""The legged walker: its mechanics by hand, its best gait, and networks that make it walk."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import atan, cos, pi, sin
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import evornn
from evornn.kernels import closed_loop
from evornn.kernels.reference import TORCH_OPS
from evornn.kernels.simd.runtime.control import SimdClosedLoop as Lanes
from evornn.networks.network import Network
from evornn.ops import walk
from evornn.tasks import TASKS
from evornn.tasks.core.task import ControlEpisodes
from evornn.tasks.plants.walker import SWING, Walker, _arctan
from evornn.tasks.walker import IDEAL, LeggedWalker
from evornn.training.budget import Budget
from evornn.training.plant_problem import PlantProblem

CTRNN = {"dt": 0.1, "tau_low": 0.5, "tau_high": 10.0, "weight_range": 16.0, "readout": False}
PUSH, BACK, REST, SWING_ON = (1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
LIMIT = pi / 6


def network(outputs: int = 3, units: int = 3, **more: Any) -> Network:
    return Network("ctrnn", inputs=1, units=units, outputs=outputs, **{**CTRNN, **more})


def value(wanted: Any, given: dict[Any, Any]) -> list[float]:
    """What equations are worth, in double precision."""
    values: dict[Any, Any] = {node: torch.tensor(v, dtype=torch.float64) for node, v in given.items()}
    for node in walk(*wanted):
        if node not in values:
            values[node] = TORCH_OPS[node.op](*(values.get(a, a) for a in node.args))
    return [float(values.get(v, v)) for v in wanted]


def step(state: Any, action: Any, **settings: Any) -> list[float]:
    plant = Walker(**settings).trace()
    return value(plant.new_state, dict(zip((*plant.s, *plant.a), (*state, *action), strict=True)))


def leg(angle: float, x: float = 0.0, v: float = 0.0, spin: float = 0.0) -> list[float]:
    """A leg as it is when it is raised at this angle, or has just come down."""
    return [x, v, angle, spin, 15 * sin(angle), 15 * cos(angle)]


# ---- mechanics -------------------------------------------------------------------------------------------------------


def test_a_leg_that_stands_pushes_the_body_and_is_turned_by_it() -> None:
    ahead = 7.5 - 0.00025  # half of the force 0.05 times 0.1²
    angle = atan(ahead / (15 * cos(LIMIT)))
    wanted = [0.00025, 0.005, angle, (angle - LIMIT) / 0.1, ahead, 15 * cos(LIMIT)]
    assert_allclose(step(leg(LIMIT), PUSH), wanted, atol=5e-7)
    assert angle == pytest.approx(
        LIMIT - 1.443376e-5, abs=1e-9
    )  # by which the body turns it: its way · cos² α / height


def test_a_raised_leg_swings_and_the_body_stops() -> None:
    angle = -0.5 + 0.1 * (0.02 + 0.0225) / 2  # spin grows by 0.1 · 0.5 · 0.05
    wanted = [0.0, 0.0, angle, 0.0225, 15 * sin(angle), 15 * cos(angle)]
    assert_allclose(step(leg(-0.5, v=1.0, spin=0.02), SWING_ON), wanted, atol=1e-12)


def test_a_raised_leg_stops_at_its_limits_and_turns_no_faster_than_it_may() -> None:
    assert_allclose(step(leg(0.52, spin=0.2), SWING_ON), leg(LIMIT), atol=1e-6)
    assert_allclose(step(leg(-0.52, spin=-0.2), (0.0, 1.0, 0.0)), leg(-LIMIT), atol=1e-6)
    assert step(leg(-0.3, spin=0.999), SWING_ON)[2:4] == pytest.approx([-0.20005, 1.0])
    beyond = step(step([0, 1.2, -0.8, 0, 13 * -1.03, 13], PUSH), SWING_ON)
    assert beyond[2:4] == pytest.approx([-LIMIT, 0.0], abs=1e-6)


def test_beyond_its_limits_a_leg_pushes_only_back_towards_them() -> None:
    behind, before = [0, 1, -0.6, 0, -8.9, 13], [0, 1, 0.6, 0, 8.9, 13]
    assert [step(behind, a)[1] for a in (PUSH, BACK)] == pytest.approx([1.0, 0.995])
    assert [step(before, a)[1] for a in (PUSH, BACK)] == pytest.approx([1.005, 1.0])


def test_the_body_stops_when_its_foot_is_too_far_away() -> None:
    for ahead, v in ((-19.95, 1.0), (19.95, -1.0)):
        x, after, *_ = step([0, v, np.sign(ahead), 0, ahead, 13], REST)
        assert (x, after) == pytest.approx((0.05 * v, 0.0))
    assert step([0, 1, -1, 0, -19.85, 13], REST)[1] == 1.0


def test_outputs_are_clipped_and_two_are_enough() -> None:
    assert step(leg(0.1), (7.0, 3.0, -2.0)) == step(leg(0.1), PUSH)
    assert step(leg(0.1), (0.5, 0.3, 0.2))[1] == 0.0  # not above 0.5: raised
    assert step(leg(0.1), (0.8, 0.3), outputs=2) == step(leg(0.1), (1.0, 0.8, 0.3))


def test_the_leg_is_felt_on_demand() -> None:
    for sensor, wanted in ((True, -0.5), (False, 0.0)):
        plant = Walker(sensor=sensor).trace()
        assert value(plant.observations, dict(zip(plant.s, leg(-SWING / 2), strict=True))) == [wanted]


def test_the_inverse_tangent() -> None:
    plant = Walker().trace()
    series = _arctan(plant.s[0])
    for x in np.linspace(-1, 1, 101):
        assert value([series], {plant.s[0]: x}) == pytest.approx([atan(x)], abs=3e-8)


# ---- the best gait ---------------------------------------------------------------------------------------------------


def walked(act: Callable[[Any], Any], steps: int = 2200) -> list[list[float]]:
    """The states of a walk from the start."""
    states = [list(map(float, Walker().initial_states()[0]))]
    for _ in range(steps):
        states.append(step(states[-1], act(states[-1])))
    return states


def test_the_ideal_gait_has_the_speed_it_should() -> None:
    """Push from limit to limit, coast as far as the leg reaches, and swing: 137.5 in 220, 0.627 in the long run."""
    stands = [True]

    def ideal(state: Any) -> Any:
        _, v, angle, _, ahead, _ = state
        stands[0] = angle >= SWING if not stands[0] else not (ahead < -19.999 and v == 0)
        return PUSH if stands[0] else SWING_ON

    states = np.array(walked(ideal))
    assert abs(IDEAL - 0.6271) < 5e-5  # the published one
    assert states[-1, 0] / 220 == pytest.approx(137.5 / 220, rel=0.01)
    down = np.flatnonzero((states[1:, 1] > 0) & (states[:-1, 1] == 0))  # steps in which it starts to move
    strides = states[down[1:], 0] - states[down[:-1], 0]
    speeds = strides / (np.diff(down) * 0.1)
    assert len(speeds) == 4 and (speeds <= IDEAL + 1e-9).all() and (speeds > 0.99 * IDEAL).all()


def test_baselines_are_what_they_say() -> None:
    data = TASKS.build({"kind": "walker"}).data()
    losses = {baseline.name: baseline.test for baseline in data.baselines}
    assert losses["standing still"] == 1
    pushed = walked(lambda state: PUSH, steps=500)[-1][0]  # by then it has come to rest
    assert losses["one push"] == pytest.approx(1 - pushed / 220 / IDEAL, abs=2e-3)


# ---- networks that walk ----------------------------------------------------------------------------------------------


def test_without_a_readout_the_units_are_the_outputs() -> None:
    net = network(outputs=2, units=3)
    genome = net.sample(1, seed=0)
    x = np.zeros((1, 1, 1), np.float32)
    outputs, state = net.predict(genome, x, return_state=True)
    theta = genome[0, net.layout.blocks["0.theta"].slice]
    assert_allclose(outputs[0, 0, 0], (1 / (1 + np.exp(-(state[0]["u"][0, 0] + theta))))[:2], atol=1e-6)
    assert not any(name.startswith("readout") for name in net.layout.blocks)
    many, blocks = net.sample(2000, seed=1), net.layout.blocks
    for name, block in blocks.items():
        assert np.abs(many[:, block.slice]).max() == pytest.approx(2 if name == "0.tau" else 16, rel=0.01)


def test_guessed_networks_never_beat_the_ideal() -> None:
    net = network(backend="torch")
    task = LeggedWalker(time=60)
    asked = PlantProblem(net, task.data().train, "episodes")
    losses, costs = asked.run(net.sample(64, seed=0))
    assert (losses > 0).all() and losses.min() < 0.99 and (costs == 600).all()


@pytest.mark.parametrize("settings", [{}, {"sensor": True}], ids=str)
def test_lanes_equal_the_reference(settings: dict[str, Any]) -> None:
    plant = Walker(**settings).trace()
    net = network(outputs=len(plant.a))
    genomes = torch.from_numpy(net.sample(100, seed=0))
    ours, exact = Lanes(net.layout, plant).run(genomes, 300), closed_loop.run(net.layout, plant, genomes.double(), 300)
    assert (ours.steps == 300).all() and len(np.unique(exact.rewards.round(2))) > 10
    near = np.abs(ours.final_states - exact.final_states).max(axis=(1, 2)) < 0.02
    assert near.mean() > 0.95  # a foot may come down a step earlier or later
    assert_array_equal(ours.rewards[..., 0], ours.final_states[:, 0, 0])


@pytest.mark.parametrize("settings", [{}, {"outputs": 2, "sensor": True, "time": 50.0}], ids=str)
def test_the_task_is_the_same_through_its_spec(settings: dict[str, Any]) -> None:
    task = TASKS.build({"kind": "walker", **settings})
    again = TASKS.build(json.loads(json.dumps(TASKS.spec_of(task))))
    data = task.data()
    assert task == again and data.note and len(data.labels) == data.sizes[1] == settings.get("outputs", 3)
    assert all(
        isinstance(asked, ControlEpisodes) and asked.steps == settings.get("time", 220) * 10 for asked in data.splits
    )


def test_evolution_learns_to_walk() -> None:
    trained = evornn.train(
        network(), {"kind": "walker", "sensor": True}, {"kind": "cma_es", "population": 100}, seed=1,
        budget=Budget(steps=80_000_000, target=0.1),
    )  # fmt: skip
    result = trained.result
    assert result.score == "mean speed" and result.environment["backend"] == "simd"
    assert result.test_score == pytest.approx((1 - result.test_loss) * IDEAL, rel=1e-5)
    assert 0.55 < result.test_score < IDEAL and result.solved
