"""Closed loops: plants against physics, kernels against the reference, members against themselves elsewhere."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evornn.arrays import Floats
from evornn.cell import Cell, Weights
from evornn.errors import EvornnError
from evornn.kernels import closed_loop
from evornn.kernels.simd.runtime.control import SimdClosedLoop
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.ops import Node, Value, absolute, clip, cos, every, greater, sin, tanh, where
from evornn.plant import Plant, PlantTrace, Values
from evornn.settings import settings as of_settings
from evornn.tasks.plants import PLANTS
from evornn.tasks.plants.poles import Poles


class Pendulum(Plant):
    """Gymnasium's pendulum in two episodes, which end when it turns too fast."""

    state = ("angle", "speed")
    dt = 0.05

    def initial_states(self) -> Floats:
        return np.array([[0.3, 0.0], [2.0, 1.0]], np.float32)

    def step(self, s: Values, a: Values) -> tuple[Value, ...]:
        angle, speed = s
        speed = clip(speed + self.dt * (15 * sin(angle) + 6 * clip(a[0], -1, 1)), -8, 8)
        return angle + self.dt * speed, speed

    def observe(self, s: Values) -> tuple[Value, ...]:
        return cos(s[0]), sin(s[0]), s[1] / 8

    def is_terminal(self, s: Values) -> Node:
        return greater(absolute(s[1]), 5.5)

    def reward(self, s: Values, a: Values) -> Node:
        return -(s[0] * s[0] + 0.1 * s[1] * s[1] + 0.001 * a[0] * a[0])


@of_settings
class Clocked(Cell):
    """Every second step, fed by its own output: a lane that was refilled must start at its own time 0."""

    def step(self, w: Weights, x: Node, y: Node, t: Node, h: Node) -> Node:
        return where(every(2.0, t), tanh(w.h(x, y, h)), h)


# what differs between kernels: no memory, no read-out, states, output functions, outer products, masks, blocks, weights
# that are fixed; y and t
NAMES = (
    "feed_forward",
    "fully_recurrent",
    "elman",
    "lstm",
    "gru",
    "ctrnn",
    "cascaded",
    "mtrnn",
    "lstm_1997",
    "echo_state",
)
KINDS: dict[str, Cell] = {**{name: CELLS[name]() for name in NAMES}, "clocked": Clocked()}
pendulum, poles = Pendulum().trace(), Poles().trace()


def network(kind: str, plant: PlantTrace, units: int = 5, layers: int = 1, initial: Any = "zero") -> Layout:
    return Layout(KINDS[kind], len(plant.observations), units, 1, layers, initial)


def genomes(layout: Layout, count: int, seed: int = 0, wide: float = 4.0) -> torch.Tensor:
    return torch.from_numpy(layout.sample(count, np.random.default_rng(seed)) * np.float32(wide))


def alike(a: closed_loop.EpisodeResults, b: closed_loop.EpisodeResults) -> bool:
    return all(
        np.array_equal(x, y, equal_nan=True)
        for x, y in zip((a.steps, a.rewards, a.final_states), (b.steps, b.rewards, b.final_states), strict=True)
    )


# ---- plants --------------------------------------------------------------------------------------------------------


def energy(end: Floats) -> float:
    """Of the cart and its poles, J: kinetic, of rotation about each pole's centre (ml²/3), and of height."""
    _, v, *rest = map(float, end)
    total = 0.5 * v * v
    for m, l, angle, speed in zip((0.1, 0.01), (0.5, 0.05), rest[::2], rest[1::2], strict=False):  # noqa: E741
        across, up = v + l * speed * np.cos(angle), -l * speed * np.sin(angle)
        total += 0.5 * m * (across**2 + up**2) + m * l * l * speed**2 / 6 + 9.8 * m * l * np.cos(angle)
    return total


@pytest.mark.parametrize("count", [1, 2])
def test_poles_without_a_force_keep_their_energy(count: int) -> None:
    plant = PLANTS.build({"kind": "poles", "poles": count, "start_angle": 30.0, "fail_angle": 1e6}).trace()
    layout = network("fully_recurrent", plant)
    still = torch.zeros(1, layout.n, dtype=torch.float64)
    ends = [closed_loop.run(layout, plant, still, steps).final_states[0, 0] for steps in (1, 20, 40)]
    assert abs(ends[2][2] - ends[0][2]) > 0.5  # it has fallen
    assert [energy(end) for end in ends] == pytest.approx([energy(plant.initial_states[0])] * 3, rel=2e-3)


def test_a_push_moves_the_cart_and_tips_the_pole_the_other_way() -> None:
    layout = network("fully_recurrent", poles, units=1)
    push = torch.zeros(1, layout.n, dtype=torch.float64)
    push[0, -1] = 100.0  # the bias: tanh is 1
    end = closed_loop.run(layout, poles, push, 1).final_states[0, 0]
    assert end[1] == pytest.approx(10 / 1.11 * 0.02, rel=0.3)
    assert end[3] < 0 and end[5] < end[3]  # and the short one faster


def test_poles_fail_at_their_limits() -> None:
    s = np.array([[0, 0, 0.6, 0, 0, 0], [0, 0, 0.63, 0, 0, 0], [2.5, 0, 0, 0, 0, 0], [-2.3, 9, 0, 9, -0.63, 0]])
    layout = network("elman", poles)
    loop = closed_loop.EpisodeLoop(layout, poles, genomes(layout, 4).double(), torch.arange(4))
    failed = loop._values(
        (poles.is_terminal,), dict(zip(poles.s, torch.from_numpy(s)[:, None].unbind(-1), strict=True))
    )
    assert failed[:, 0, 0].tolist() == [0, 1, 1, 1]


def test_inputs_of_the_poles() -> None:
    assert [len(Poles(poles=k, velocities=v).trace().observations) for k in (1, 2) for v in (False, True)] == [
        2,
        4,
        3,
        6,
    ]


class Wrong(Pendulum):
    def step(self, s: Values, a: Values) -> tuple[Value, ...]:
        return (s[0],)


def test_a_plant_that_loses_a_state_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.step returns 1 values"):
        Wrong().trace()


@pytest.mark.parametrize(("inputs", "outputs", "steps", "says"), [
    (4, 1, 10, "inputs 3 and outputs 1, got 4 and 1"), (3, 2, 10, "got 3 and 2"), (3, 1, 0, "set max_steps"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(inputs: int, outputs: int, steps: int, says: str) -> None:
    layout = Layout(KINDS["elman"], inputs, 5, outputs, 1, "zero")
    for run in (
        lambda g: SimdClosedLoop(layout, pendulum).run(g, steps),
        lambda g: closed_loop.run(layout, pendulum, g, steps),
    ):
        with pytest.raises(EvornnError, match=says):
            run(genomes(layout, 2))


# ---- kernels against the reference -----------------------------------------------------------------------------------


def compare(layout: Layout, plant: PlantTrace, count: int, seed: int, steps: int, tolerance: float) -> None:
    """Steps, rewards and last states against float64. A threshold that is just missed may cost one member a step. Where
    a loop is chaotic, rounding grows: a member may be 30 times as far off as one with other last bits."""
    g = genomes(layout, count, seed)
    ours, exact = SimdClosedLoop(layout, plant).run(g, steps), closed_loop.run(layout, plant, g.double(), steps)
    rounded = closed_loop.run(layout, plant, g.double() * (1 + 2.0**-23), steps)
    same = ours.steps == exact.steps
    assert (~same).sum() <= 1 and np.abs(ours.steps - exact.steps).max() <= 1
    for name in ("final_states", "rewards"):
        found, expected, near = (np.asarray(getattr(run, name))[same] for run in (ours, exact, rounded))
        assert (np.abs(found - expected) <= tolerance * (1 + np.abs(expected)) + 30 * np.abs(near - expected)).all(), (
            name
        )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None)
@given(
    units=st.integers(1, 20), layers=st.integers(1, 2), count=st.integers(1, 70),
    initial=st.sampled_from(["zero", "learned"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_kernel_equals_reference(kind: str, units: int, layers: int, count: int, initial: str, seed: int) -> None:
    compare(network(kind, pendulum, units, layers, initial), pendulum, count, seed, steps=30, tolerance=1e-3)


def test_poles_equal_reference() -> None:
    """Over 25 steps: two poles that fall are chaotic, and float32 and float64 then part."""
    compare(network("fully_recurrent", poles), poles, count=300, seed=0, steps=25, tolerance=2e-3)


def test_a_member_is_the_same_wherever_it_stands() -> None:
    layout = network("fully_recurrent", poles)
    g = genomes(layout, 150)
    whole = SimdClosedLoop(layout, poles, threads=1).run(g, 300)
    assert len(np.unique(whole.steps)) > 5  # lanes were refilled at different times
    assert alike(whole, SimdClosedLoop(layout, poles, threads=2).run(g, 300))
    order = np.random.default_rng(1).permutation(150)
    mixed = SimdClosedLoop(layout, poles, threads=2).run(g[order], 300)
    assert alike(closed_loop.EpisodeResults(whole.steps[order], whole.rewards[order], whole.final_states[order]), mixed)
    for p in (0, 17, 149):
        alone = SimdClosedLoop(layout, poles).run(g[p : p + 1], 300)
        assert alike(alone, closed_loop.EpisodeResults(whole.steps[[p]], whole.rewards[[p]], whole.final_states[[p]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_ends_its_member_only(bad: float) -> None:
    layout = network("fully_recurrent", pendulum)
    g = genomes(layout, 40)
    before = SimdClosedLoop(layout, pendulum).run(g, 50)
    ill = g.clone()
    ill[[0, 20, 39], [0, 7, layout.n - 1]] = bad
    exact = closed_loop.run(layout, pendulum, ill, 50)
    for found in (SimdClosedLoop(layout, pendulum).run(ill, 50), exact):
        assert (found.steps[[0, 20, 39]] == 0).all() and np.isnan(found.rewards[[0, 20, 39]]).all()
    well = np.setdiff1d(np.arange(40), [0, 20, 39])
    found = SimdClosedLoop(layout, pendulum).run(ill, 50)
    assert alike(
        closed_loop.EpisodeResults(found.steps[well], found.rewards[well], found.final_states[well]),
        closed_loop.EpisodeResults(before.steps[well], before.rewards[well], before.final_states[well]),
    )
    everyone = torch.full_like(g, bad)
    assert (SimdClosedLoop(layout, pendulum, threads=2).run(everyone, 50).steps == 0).all()
    assert (closed_loop.run(layout, pendulum, everyone, 50).steps == 0).all()


def test_a_state_that_overflows_has_failed() -> None:
    layout = network("elman", pendulum, units=2)
    huge = torch.zeros(3, layout.n)
    huge[1, layout.blocks["0.h.bias"].slice] = 5.0
    huge[1, layout.blocks["readout.weight"].slice] = torch.tensor([3e38, 3e38])  # ∞ − ∞
    huge[1, layout.blocks["readout.bias"].slice] = -3e38
    huge[2] = huge[1]
    huge[2, layout.blocks["readout.weight"].slice] = torch.tensor([3e38, -3e38])
    for run in (SimdClosedLoop(layout, pendulum).run, lambda g, steps: closed_loop.run(layout, pendulum, g, steps)):
        found = run(huge, 4)
        assert (found.steps <= 4).all() and found.steps[0, 0] == 4
        assert np.isfinite(found.rewards[0]).all()


def test_long_sums_of_rewards_are_exact() -> None:
    layout = network("fully_recurrent", pendulum)
    still = torch.zeros(1, layout.n)
    hanging = Hanging().trace()
    found = SimdClosedLoop(network("fully_recurrent", hanging), hanging).run(still, 100_000)
    assert found.steps[0, 0] == 100_000
    assert found.rewards[0, 0] == pytest.approx(100_000 * np.float32(0.1), rel=1e-6)


class Hanging(Pendulum):
    """A pendulum that nobody moves is worth 0.1 a step."""

    def initial_states(self) -> Floats:
        return np.zeros((1, 2), np.float32)

    def reward(self, s: Values, a: Values) -> Node:
        return s[0] * 0 + 0.1
