"""Worlds that are programs of their own: episodes in lock step, and environments of gymnasium as a task."""

from __future__ import annotations

import json
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from local_shards import LocalShardPool, LocalShardWorker
from numpy.testing import assert_allclose, assert_array_equal
from ray import cloudpickle

import evornn
from evornn.arrays import Floats, Streams
from evornn.errors import EvornnError
from evornn.experiments.execute import load_task
from evornn.experiments.reporting import run_charts
from evornn.experiments.reporting.network_summary import summarise_network
from evornn.experiments.spec import RunPlan, parse_spec, plan
from evornn.networks.network import Network
from evornn.service.policy import SubmissionPolicy
from evornn.settings import BadSetting
from evornn.tasks import TASKS
from evornn.tasks.core.checked_environment import CheckedEnvironment
from evornn.tasks.core.gymnasium_world import GymnasiumWorld
from evornn.tasks.core.world import RETURN, Environment, Rollouts, World
from evornn.trainers import TRAINERS
from evornn.trainers.core.query import Query
from evornn.trainers.core.trainer import NoGradient
from evornn.training import loop
from evornn.training.budget import Budget
from evornn.training.loop import train_loop
from evornn.training.make_problem import make_problem
from evornn.training.oracle import LocalOracle
from evornn.training.problem import Problem
from evornn.training.records import Checkpoint
from evornn.training.world_problem import WorldProblem
from evornn.workers import sharded
from evornn.workers.sharded import ShardedProblem

FEW = {"steps": 60, "train": 12, "valid": 3, "test": 4, "episodes": 3}
CASES: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"environment": "CartPole-v1", "observed": [0, 2]}, (2, 2)),
    ({"environment": "Pendulum-v1", "observed": [0, 1]}, (2, 1)),
    ({"environment": "Pendulum-v1", "normalise_observations": False}, (3, 1)),
    ({"environment": "FrozenLake-v1"}, (16, 4)),  # where one stands is a choice: one-hot
    ({"environment": "popgym-PositionOnlyCartPoleEasy-v0"}, (2, 2)),
    ({"environment": "popgym-AutoencodeEasy-v0"}, (6, 4)),  # a pair of choices is shown
    ({"environment": "popgym-BattleshipEasy-v0"}, (2, 16)),  # a pair of choices is to be made
]
cases = pytest.mark.parametrize(
    ("settings", "sizes"), CASES, ids=[f"{settings['environment']}-{sizes[0]}" for settings, sizes in CASES]
)


class Echo(World):
    """An environment shows its seed and the time; what is put out is the reward, for as many steps as the seed says."""

    inputs, outputs, observation_size = 2, 1, 2

    def open(self) -> Environment:
        return EchoEnvironment()

    def observe(self, observations: Floats) -> Floats:
        return observations / 10

    def actions(self, outputs: Floats) -> Any:
        return outputs[..., 0].tolist()


class EchoEnvironment:
    def reset(self, seed: int) -> Floats:
        self.seed, self.time = seed, 0
        return np.array([seed, 0], np.float32)

    def step(self, action: float) -> tuple[Floats, float, bool]:
        self.time += 1
        return np.array([self.seed, self.time], np.float32), action, self.time >= self.seed


SEEDS = np.array([3, 9, 1, 5, 20])


def echo(kind: str = "lstm", steps: int = 12, usual: int | None = None, **more: Any) -> WorldProblem:
    network = Network(kind, inputs=2, units=4, outputs=1, **more)
    return WorldProblem(network, Rollouts(Echo(), SEEDS, steps, usual), RETURN)


def task(**settings: Any) -> dict[str, Any]:
    return {"kind": "gymnasium", **FEW, **settings}


def network_for(spec: dict[str, Any], kind: str = "elman", **more: Any) -> Network:
    inputs, outputs = TASKS.build(spec).data().sizes
    return Network(kind, inputs=inputs, units=3, outputs=outputs, **more)


# ---- episodes in lock step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "elman", "jordan", "clockwork", "ctrnn"])
def test_a_return_is_the_sum_of_what_the_network_says_step_by_step(kind: str) -> None:
    """As `predict` computes it over the whole sequence: states, fed-back outputs and the time are carried."""
    asked = echo(kind)
    genomes = asked.network.sample(5, seed=1)
    lasted = np.minimum(SEEDS, 12)
    losses, costs = asked.run(genomes)
    shown = np.array([[[seed, t] for t in range(12)] for seed in SEEDS], np.float32) / 10
    said = asked.network.predict(genomes, shown)[..., 0]
    returns = np.stack([said[:, e, :t].sum(axis=1) for e, t in enumerate(lasted)], axis=1)
    assert_allclose(losses, -returns.mean(axis=1), rtol=1e-4, atol=1e-5)
    assert costs.tolist() == [lasted.sum()] * 5
    assert_array_equal(asked.episodes(genomes).final_states[..., 1], np.tile(lasted, (5, 1)))


def test_bits_depend_on_no_company() -> None:
    """Nor on what was computed before, nor on the seeds' order."""
    asked = echo()
    genomes = asked.network.sample(70, seed=0)
    losses, _ = asked.run(genomes)
    assert len(np.unique(losses)) == 70
    for members in ([3], [69, 3], list(range(40, 3, -1))):
        assert_array_equal(asked.run(genomes[members])[0], losses[members])
    order = np.array([4, 0, 3, 1, 2])
    assert_array_equal(asked.episodes(genomes, order).rewards, asked.episodes(genomes).rewards[:, order])


def answers(problem: Problem, genomes: np.ndarray, batch: np.ndarray | None) -> tuple[Any, Any]:
    answer = problem.answer(Query(genomes, batch=batch))
    return answer.losses, answer.costs


@pytest.mark.parametrize("helpers", [1, 3])
def test_shards_give_the_same_bits(helpers: int) -> None:
    whole = echo(usual=2)
    team = LocalShardPool(*(LocalShardWorker(mortal=None if k else 2) for k in range(helpers)))
    spread = ShardedProblem(whole, team)
    for size in (33, 100):
        genomes = whole.network.sample(size, seed=size)
        for batch in (None, np.array([3, 0])):
            for ours, theirs in zip(answers(spread, genomes, batch), answers(whole, genomes, batch), strict=True):
                assert_array_equal(ours, theirs)
    assert team.workers[0].questions and spread.default_batch_size == 2 and spread.backend == "torch"
    assert (
        2 * 5 * whole.flops_per_step * 32 > sharded.MIN_SHARDED_COST
    )  # episodes are long: even two tiles of them are shared


def test_networks_that_are_not_finite_lose() -> None:
    asked = echo("ctrnn")
    genomes = asked.network.sample(4, seed=0)
    genomes[1, 0] = np.nan
    genomes[2, asked.network.layout.blocks["readout.weight"].slice] = 3e38  # finite, but not what it puts out
    losses, costs = asked.run(genomes)
    assert np.isnan(losses).tolist() == [False, True, True, False]
    assert costs[1] == len(SEEDS) and len(SEEDS) <= costs[2] < costs[0] == np.minimum(SEEDS, 12).sum()


def test_all_members_of_a_generation_meet_the_same_episodes_and_others_in_the_next() -> None:
    oracle = LocalOracle(echo(usual=2), 0, 10_000)
    drawn = [oracle.batch(k, None) for k in range(5)]
    assert all(batch is not None and len(batch) == 2 for batch in drawn)
    assert sorted(np.concatenate(drawn).tolist()) == sorted(2 * list(range(5)))  # all, before any comes again twice
    again = LocalOracle(echo(usual=2), 0, 10_000), LocalOracle(echo(usual=2), 1, 10_000)
    same, other = ([oracle.batch(k, None).tolist() for k in range(5)] for oracle in again)
    assert same == [batch.tolist() for batch in drawn] != other
    assert len(oracle.batch(0, 3)) == 3 and oracle.batch(0, 5) is None  # a trainer may say how many
    assert LocalOracle(echo(), 0, 10_000).batch(0, None) is None


@pytest.mark.parametrize(("kind", "loss", "says"), [
    ("elman", "mse", "^loss: a task with a world is judged by its rewards: leave it out"),
    ("neural_turing_machine", RETURN, "only a network made of cells can act in a world"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(kind: str, loss: str, says: str) -> None:
    network = Network(kind, inputs=2, units=2, outputs=1)
    with pytest.raises(EvornnError, match=says):
        make_problem(network, Rollouts(Echo(), SEEDS, 12), loss).check(False, False)


# ---- the task's contract ---------------------------------------------------------------------------------------------


@cases
def test_it_is_the_same_each_time_and_through_its_spec(settings: dict[str, Any], sizes: tuple[int, int]) -> None:
    built = TASKS.build(task(**settings))
    again = TASKS.build(json.loads(json.dumps(TASKS.spec_of(built))))
    assert built == again
    data, other = built.data(), again.data()
    assert data.sizes == sizes and len(data.labels) == sizes[1] and data.note and data.baselines == other.baselines
    assert len({*data.train.seeds, *data.valid.seeds, *data.test.seeds}) == 12 + 3 + 4
    network = network_for(task(**settings))
    genomes = network.sample(3, seed=0)
    for one, two in zip(data.splits, other.splits, strict=True):
        assert_array_equal(one.seeds, two.seeds)
        assert_array_equal(one.world.scale, two.world.scale)
        asked = WorldProblem(network, one, data.loss)
        losses, costs = asked.run(genomes)
        assert np.isfinite(losses).all() and (costs >= len(one.seeds)).all() and (costs <= 60 * len(one.seeds)).all()
        sent = cloudpickle.loads(cloudpickle.dumps(asked))  # its environments stay here and are used again
        for way in (asked, sent, WorldProblem(network, two, data.loss)):
            assert_array_equal(way.run(genomes)[0], losses)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_a_return_is_that_of_the_environment_stepped_by_hand(name: str) -> None:
    spec = task(environment=name)
    data, network = TASKS.build(spec).data(), network_for(spec)
    asked, genome = WorldProblem(network, data.test, data.loss), network.sample(1, seed=3)
    made = gymnasium.make(name)
    lived = asked.episodes(genome)
    for e, seed in enumerate(data.test.seeds.tolist()):
        shown, state, rewards = made.reset(seed=seed)[0], None, []
        while len(rewards) < 60:
            x = (shown - data.test.world.centre) / data.test.world.scale
            y, state = network.predict(genome, x[None, None], state=state, return_state=True)
            action = int(y[0, 0, 0].argmax()) if name == "CartPole-v1" else 2 * np.tanh(y[0, 0, 0])
            shown, reward, terminated, truncated, _ = made.step(action)
            rewards.append(float(reward))
            if terminated or truncated:
                break
        assert lived.steps[0, e] == len(rewards) and lived.rewards[0, e] == pytest.approx(sum(rewards), rel=1e-3)
    assert asked.score(genome[0], data.score) == lived.rewards.mean() == pytest.approx(-asked.run(genome)[0][0])
    path = asked.path(genome[0], 1000)
    assert len(path) == lived.steps[0, 0] + 1
    assert_array_equal(path[-1], lived.final_states[0, 0])
    assert data.score.threshold == (475 if name == "CartPole-v1" else None)


def test_observations_are_masked_and_measured_under_random_actions() -> None:
    world = GymnasiumWorld("CartPole-v1", [2, 0])
    shown = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    assert world.observe(shown).tolist() == [[[2, 0]], [[6, 4]]]
    episodes = [shown for shown, _ in world.random_episodes(range(20), 100, Streams(0))]
    world.fit_scaling(episodes)
    seen = world.observe(np.concatenate(episodes)[None])[0]
    assert_allclose(seen.mean(axis=0), 0, atol=1e-4)
    assert_allclose(seen.std(axis=0), 1, rtol=1e-4)
    constant = GymnasiumWorld("CartPole-v1")
    constant.fit_scaling([np.full((5, 4), 3, np.float32)])
    assert constant.scale.tolist() == [1] * 4


def test_actions_keep_to_what_the_environment_takes() -> None:
    outputs = np.array([[[-1e9, 3, 3, 0.5] * 4]], np.float32)
    assert GymnasiumWorld("CartPole-v1").actions(outputs[..., :2]) == [[1]]
    assert GymnasiumWorld("CartPole-v1").actions(outputs[..., 1:3]) == [[0]]  # the first of equals
    assert GymnasiumWorld("Pendulum-v1").actions(outputs[..., :1])[0, 0].tolist() == [-2]
    assert GymnasiumWorld("Pendulum-v1").actions(0 * outputs[..., :1])[0, 0].tolist() == [0]
    assert GymnasiumWorld("popgym-BattleshipEasy-v0").actions(outputs)[0, 0].tolist() == [1, 1]


@pytest.mark.parametrize(("settings", "says"), [
    ({"environment": "CartPol-v1"}, "unknown environment 'CartPol-v1': did you mean 'CartPole-v1'"),
    ({"environment": "popgym-RepeatPreviousEasi-v0"}, "did you mean 'popgym-RepeatPreviousEasy-v0'"),
    ({"environment": "no_such_package:Its-v0"}, "no_such_package can't be imported, .*: install its package"),
    ({"environment": "CartPole-v1", "observed": [4]}, r"observed: CartPole-v1 shows the numbers 0 … 3: list some"),
    ({"environment": "CartPole-v1", "observed": []}, r"list some of them, got \[\]"),
    ({"environment": "Pendulum-v1", "arguments": {"gg": 9}}, "unknown argument of Pendulum-v1 'gg': did you mean 'g'"),
    ({"environment": "Pendulum-v1", "arguments": {"disable_env_checker": True}}, "unknown argument of Pendulum-v1"),
    ({"environment": "FrozenLake-v1", "arguments": {"map_name": "9x9"}},
     "environment FrozenLake-v1 with map_name='9x9': KeyError: '9x9': change its arguments, or take another"),
    ({"environment": "Pendulum-v1", "arguments": {"g": "heavy"}}, r"Pendulum-v1 with g='heavy': \w+: .*: change its"),
    ({"environment": "GymV26Environment-v0"}, "environment GymV26Environment-v0: .*: mend it, or take another"),
])  # fmt: skip
def test_what_cannot_be_made_is_told(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(EvornnError, match=says) as caught:
        TASKS.build(task(**settings)).data()
    assert "\n" not in str(caught.value)


def test_arguments_make_another_environment() -> None:
    corridor = {"environment": "FrozenLake-v1", "arguments": {"desc": ["SFG"], "is_slippery": False}}
    data = TASKS.build(task(**corridor)).data()
    assert data.sizes == (3, 4) and "desc=['SFG'], is_slippery=False" in data.note
    environment = GymnasiumWorld("FrozenLake-v1", None, corridor["arguments"]).open()  # type: ignore[arg-type]
    environment.reset(0)
    assert [environment.step(2)[1:] for _ in range(2)] == [(0.0, False), (1.0, True)]


def test_the_limit_of_an_episode_is_an_argument_of_every_environment() -> None:
    for arguments, steps in ((None, 200), ({"max_episode_steps": 7}, 7)):
        world = GymnasiumWorld("Pendulum-v1", arguments=arguments)
        ((shown, _),) = world.random_episodes([3], 1000, Streams(0))
        assert len(shown) == steps + 1


def test_an_environment_may_take_any_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then its constructor says what is wrong; what it is given it may change without harm to the next."""

    class Any_(Broken):
        def __init__(self, **given: Any) -> None:
            assert given == {"parts": [1, 2]}, given
            given["parts"].append(3)

    made = gymnasium.envs.registration.EnvSpec("Own-v0", entry_point=Any_)
    monkeypatch.setitem(gymnasium.registry, "Own-v0", made)
    GymnasiumWorld("Own-v0", arguments={"parts": [1, 2]}).open()
    with pytest.raises(EvornnError, match=r"environment Own-v0 with part=1: AssertionError: .*: change its arguments"):
        GymnasiumWorld("Own-v0", arguments={"part": 1})
    with pytest.raises(EvornnError, match="unknown argument of Own-v0 'id'"):
        GymnasiumWorld("Own-v0", arguments={"id": "CartPole-v1"})


def test_tasks_with_other_arguments_are_other_tasks() -> None:
    tasks = [task(environment="Pendulum-v1", arguments={"g": g}) for g in (5, 10)]
    spec = {"name": "gravities", "tasks": tasks, "networks": [{"kind": "elman"}], "trainers": [{"kind": "snes"}]}
    plans = plan(parse_spec({**spec, "seeds": 1, "budget": {"steps": 1000}}))
    assert [p.task for p in plans] == ["gymnasium arguments={'g': 5}", "gymnasium arguments={'g': 10}"]
    assert [p.fragments["task"]["arguments"]["g"] for p in plans] == [5, 10]
    five, ten = (load_task(p.fragments["task"])[1].baselines[0] for p in plans)
    assert five.test != ten.test


def test_a_server_gives_environments_no_texts() -> None:
    """They can name files, or code to be imported."""

    def asked(arguments: dict[str, Any]) -> RunPlan:
        fragment = task(environment="FrozenLake-v1", arguments=arguments)
        return RunPlan("t", "n", "m", {"task": fragment}, 0, {}, 0)

    assert SubmissionPolicy().apply([asked({"is_slippery": False, "success_rate": 0.5})])
    for arguments in ({"map_name": "4x4"}, {"desc": [["SG"]]}, {"is_slippery": {"file": "x"}}):
        with pytest.raises(BadSetting, match=r"^task\.arguments: .*`--own FrozenLake-v1`, or run it on your machine"):
            SubmissionPolicy().apply([asked(arguments)])
        assert SubmissionPolicy(allowed_code=frozenset({"FrozenLake-v1"})).apply([asked(arguments)])


@pytest.mark.parametrize(("missing", "environment"), [("gymnasium", "CartPole-v1"), ("popgym", "popgym-X-v0")])
def test_a_missing_package_is_told_with_its_extra(
    missing: str, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(EvornnError, match=r"needs the extra gym: pip install 'evornn\[gym\]'$"):
        TASKS.build(task(environment=environment)).data()


class Broken(gymnasium.Env[Any, Any]):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,)), gymnasium.spaces.Discrete(2)

    def reset(self, **_: Any) -> Any:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        raise ZeroDivisionError("the wheel\ncame off")


class Quitting(Broken):
    def step(self, action: Any) -> Any:
        sys.exit("no such level")


class Worded(Broken):
    observation_space = gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))


class Counted(Broken):
    action_space = gymnasium.spaces.MultiBinary(3)


@pytest.mark.parametrize(("entry", "says"), [
    (Broken, "environment Own-v0: ZeroDivisionError: the wheel came off: mend it"),
    (Quitting, "environment Own-v0: SystemExit: no such level: mend it"),
    (Worded, "Sequence.* has no fixed length"),
    (Counted, "actions must be Discrete, MultiDiscrete or a Box of numbers, not MultiBinary"),
])  # fmt: skip
def test_an_environment_of_ones_own_that_fails(entry: type, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gymnasium.registry, "Own-v0", gymnasium.envs.registration.EnvSpec("Own-v0", entry_point=entry))
    with pytest.raises(EvornnError, match=says):
        TASKS.build(task(environment="Own-v0")).data()


# ---- answers that are no numbers -------------------------------------------------------------------------------------

BOX = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
CHOICE = gymnasium.spaces.Discrete(3)
PARTS = gymnasium.spaces.Dict({"where": BOX, "what": CHOICE})
GOOD = np.zeros(2, np.float32)


class Odd(gymnasium.Env[Any, Any]):
    """Answers what it is told to answer at the third step, and before what is good."""

    action_space = CHOICE

    def __init__(self, space: Any, good: Any, odd: Any) -> None:
        self.observation_space, self.good, self.odd = space, good, odd

    def reset(self, seed: Any = None, options: Any = None) -> Any:
        self.time = 0
        return self.good, {}

    def step(self, action: Any) -> Any:
        self.time += 1
        return self.odd if self.time == 3 else (self.good, 1.0, self.time >= 10, False, {})


def register_odd(monkeypatch: pytest.MonkeyPatch, answer: Any, space: Any = BOX, good: Any = GOOD) -> None:
    entry = gymnasium.envs.registration.EnvSpec("Odd-v0", entry_point=lambda: Odd(space, good, answer))
    monkeypatch.setitem(gymnasium.registry, "Odd-v0", entry)


ODD: list[tuple[Any, str]] = [
    ((GOOD, np.nan, False, False, {}), "reward nan at step 3"),
    ((GOOD, -np.inf, False, False, {}), "reward -inf at step 3"),
    ((GOOD, 1e39, False, False, {}), r"reward 1e\+39 at step 3"),
    ((GOOD, None, False, False, {}), "reward None, which is not a number at step 3"),
    ((GOOD, "1.5", False, False, {}), "reward '1.5', which is not a number at step 3"),
    ((GOOD, 1j, False, False, {}), "reward 1j, which is not a number at step 3"),
    ((GOOD, np.ones(2), False, False, {}), r"reward array\(\[1., 1.\]\), which is not a number at step 3"),
    ((GOOD, {"a": 1.0}, False, False, {}), "reward {'a': 1.0}, which is not a number at step 3"),
    ((np.array([0, np.nan]), 1.0, False, False, {}), "number 1 of the observation nan at step 3"),
    ((np.array([1e39, 0]), 1.0, False, False, {}), r"number 0 of the observation 1e\+39 at step 3"),
    ((["1", "2"], 1.0, False, False, {}), r"observation array\(\['1', '2'\].*which is not numbers at step 3"),
    (([None, 1], 1.0, False, False, {}), "which is not numbers at step 3"),
    ((None, 1.0, False, False, {}), "ValueError: None is not of the space Box"),
    ((np.zeros(3), 1.0, False, False, {}), "is not of the space Box"),
    ((np.zeros(1), 1.0, False, False, {}), "is not of the space Box"),  # which numpy would repeat
    (([[1], [1, 2]], 1.0, False, False, {}), "ValueError"),
    ((GOOD, 1.0, "False", False, {}), "end of the episode 'False', neither true nor false at step 3"),
    ((GOOD, 1.0, None, False, {}), "end of the episode None, neither true nor false at step 3"),
    ((GOOD, 1.0, False, np.nan, {}), "end of the episode nan, neither true nor false at step 3"),
    ((GOOD, 1.0, 2, False, {}), "end of the episode 2, neither"),
    ((GOOD, 1.0, np.array([True, False]), False, {}), r"end of the episode array\(.*neither"),
    ((GOOD, 1.0, False, {}), r"step did not return \(observation, reward, terminated, truncated, info\)"),
    (GOOD, "step did not return"),
    (None, "step did not return"),
]


@pytest.mark.parametrize(("answer", "says"), ODD, ids=lambda value: str(value)[:40])
def test_an_answer_that_is_no_number_is_refused(answer: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register_odd(monkeypatch, answer)
    with pytest.raises(EvornnError, match=f"^environment Odd-v0: .*{says}.*: mend it, or take another") as caught:
        TASKS.build(task(environment="Odd-v0")).data()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("space", "good", "odd"), [
    (CHOICE, 1, -1), (CHOICE, 1, 3), (CHOICE, 1, 0.5), (CHOICE, 1, "1"), (CHOICE, 1, None),
    (gymnasium.spaces.MultiDiscrete([2, 3]), np.array([1, 2]), np.array([1, -1])),
    (gymnasium.spaces.MultiBinary(2), np.array([1, 0], np.int8), np.array([2, 0], np.int8)),
    (gymnasium.spaces.Tuple((CHOICE, BOX)), (1, GOOD), (GOOD, 1)), (gymnasium.spaces.Tuple((CHOICE,)), (1,), (1, 1)),
    (PARTS, {"where": GOOD, "what": 0}, {"where": GOOD}), (PARTS, {"where": GOOD, "what": 0}, GOOD),
    (PARTS, {"where": GOOD, "what": 0}, {"where": np.zeros(3), "what": 0}),
], ids=str)  # fmt: skip
def test_an_observation_that_is_not_of_its_space_is_refused(
    space: Any, good: Any, odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gymnasium takes some of them for others, the choice -1 for the last one."""
    register_odd(monkeypatch, (odd, 1.0, False, False, {}), space, good)
    with pytest.raises(EvornnError, match=r"^environment Odd-v0: ValueError: .* is not of the space"):
        TASKS.build(task(environment="Odd-v0")).data()


@pytest.mark.parametrize("answer", [
    (np.array([-3.0, 7.0]), 1, 0, 1, {}),  # beyond the bounds, in whole numbers
    ([0.5, 0.5], np.float64(1), np.True_, np.False_, {}),
    (np.zeros((2, 1)), np.array([1.0]), np.array([False]), np.array(False), {}),
    (np.zeros((1, 2)), True, False, False, {}),
], ids=str)  # fmt: skip
def test_what_can_be_nothing_else_is_taken(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register_odd(monkeypatch, answer)
    environment = GymnasiumWorld("Odd-v0").open()
    environment.reset(0)
    observation, reward, end = [CheckedEnvironment(GymnasiumWorld("Odd-v0"), environment).step(0) for _ in range(3)][-1]
    assert observation.tolist() == np.ravel(answer[0]).tolist() and reward == 1.0
    assert end is bool(answer[2] or answer[3])


@pytest.mark.parametrize(("answer", "says"), [
    ((np.zeros(3), 0.0, False), r"observation of shape \[3\], not \[2\] at step 1"),
    ((np.zeros(1), 0.0, False), r"observation of shape \[1\], not \[2\] at step 1"),
    ((np.full(2, np.nan), 0.0, False), "number 0 of the observation nan at step 1"),
    ((np.zeros(2), "0", False), "reward '0', which is not a number at step 1"),
    ((np.zeros(2), 0.0), r"step returned .*, not \(observation, reward, end of the episode\) at step 1"),
])  # fmt: skip
def test_a_world_of_ones_own_is_checked_as_well(answer: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EchoEnvironment, "step", lambda self, action: answer)
    problem = echo()
    with pytest.raises(EvornnError, match=f"^environment Echo: {says}: mend it"):
        problem.run(problem.network.sample(1, seed=0))


def test_a_return_beyond_float32_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss would be minus infinity."""
    monkeypatch.setattr(EchoEnvironment, "step", lambda self, action: (GOOD, 3e38, False))
    problem = echo()
    assert np.isnan(problem.run(problem.network.sample(2, seed=0))[0]).all()


@pytest.mark.parametrize("kind", ["adam", "memetic", "ridge"])
def test_what_episodes_cannot_answer_is_refused(kind: str) -> None:
    spec = task()
    error = EvornnError if kind == "ridge" else NoGradient
    with pytest.raises(error, match=r"episodes have no (gradient|targets).*: use"):
        evornn.train(network_for(spec), spec, {"kind": kind})


# ---- the loop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cma_es", "openai_es", "genetic_algorithm"])
def test_going_on_gives_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "UPDATE_INTERVAL", 0)
    trainer = TRAINERS.build({"kind": name, "population": 10})
    arguments = echo().network, TASKS_OF_ECHO, trainer, 3, Budget(steps=2_000, marks=4)
    whole = list(train_loop(*arguments))
    checkpoint = next(update.checkpoint for update in whole if update.checkpoint)
    rest = list(train_loop(*arguments, checkpoint=Checkpoint(checkpoint.mark, checkpoint.arrays, checkpoint.plain)))
    ours, theirs = rest[-1].result, whole[-1].result
    assert ours is not None and theirs is not None
    assert_array_equal(ours.genome, theirs.genome)
    assert (ours.test_loss, ours.network_steps) == (theirs.test_loss, theirs.network_steps)


TASKS_OF_ECHO = evornn.tasks.core.task.Data(
    *(Rollouts(Echo(), SEEDS + k, 12, 2 if k == 0 else None) for k in range(3)), loss=RETURN
)


def test_evolution_balances_a_pole_whose_velocities_are_hidden() -> None:
    spec = task(observed=[0, 2], steps=100, episodes=4)
    trained = evornn.train(network_for(spec), spec, "cma_es", seed=0, budget=Budget(steps=30_000, marks=5))
    result, data = trained.result, TASKS.build(spec).data()
    assert result.score == "mean return" and result.environment["backend"] == "torch"
    assert result.environment["libraries"]["gymnasium"] and result.test_score == pytest.approx(-result.test_loss)
    assert result.test_loss < 1.5 * data.baselines[0].test < 0 and result.solved is False
    seen = summarise_network(network_for(spec), data, result.genome)
    assert seen.trajectory is not None and seen.trajectory.path.shape[1] == len(seen.trajectory.states) == 4
    figure = run_charts.run_curve(trained.rows)
    assert figure.layout.yaxis.type == "linear"  # losses below 0 have no logarithm


def test_a_budget_may_ask_for_a_solution() -> None:
    """Unlike plants, whose solution is the loss 0, worlds have a score that says so."""
    spec = task(steps=20, observed=[0, 2])
    evornn.train(network_for(spec), spec, "weight_guessing", budget=Budget(steps=8_000, marks=2, solved=True))
    with pytest.raises(EvornnError, match=r"budget\.solved: the task has no score"):
        plain = task(environment="Pendulum-v1")
        evornn.train(network_for(plain), plain, "cma_es", budget=Budget(steps=8_000, solved=True))
