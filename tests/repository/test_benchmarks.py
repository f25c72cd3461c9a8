"""The benchmarks' harness: what is counted, checked and written. JAX, of the extra `bench`, is checked when it runs."""

import json
from dataclasses import replace
from importlib.util import find_spec
from io import StringIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import kernels, optimizers, roofline, scaling, start, versus, words, workloads
from benchmarks.peak import loop
from benchmarks.peer_optimizers import OURS, PEERS
from benchmarks.table import COLUMNS, markdown, slowest, speedup, table, targets
from benchmarks.timing import Contestant, check, fastest, geometric_mean, interleave
from benchmarks.workloads import CELLS, OPERATIONS, QUICK, WORKLOADS, Workload, problem
from evornn import cache as kept
from evornn.errors import EvornnError, UnknownName
from evornn.kernels.simd.runtime.machine_code import FUNCTIONS
from evornn.networks import CELLS as GATED
from evornn.networks.network import Network

TINY = Workload(members=3, units=4, inputs=2, outputs=3, batch=2, steps=5)
KEYS = "workload cell operation ours_ms jax_ms torch_ms evotorch_ms ratio_jax gflops fraction_of_peak of_roofline"


@pytest.fixture(autouse=True)
def same_threads():
    """The benchmark gives torch all cores."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


GATES = {"elman": 1, "lstm": 4, "gru": 3, "ctrnn": 1}


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=20)
@given(st.builds(Workload, *[st.integers(1, 9)] * 6))
def test_operations_are_those_of_the_matrix_products(cell, s):
    layout = Network(cell, inputs=s.inputs, units=s.units, outputs=s.outputs).layout
    products = GATES[cell] * s.units * (s.inputs + s.units) + s.units * s.outputs
    expected = 2 * s.members * s.batch * s.steps * products
    assert workloads.flops(layout, s.members, s.batch, s.steps, gradient=False) == expected
    assert workloads.flops(layout, s.members, s.batch, s.steps, gradient=True) == 3 * expected


def test_quick_workloads_are_smaller_and_split_over_devices():
    work = {w: w.members * w.steps * w.batch for w in (*WORKLOADS, *QUICK)}
    assert max(work[w] for w in QUICK) < min(work[w] for w in WORKLOADS)
    assert [w for w in (*WORKLOADS, *QUICK) if w.members % 16] == []  # peer_jax splits the population over up to 16


def test_geometric_mean():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4)
    assert np.isnan(geometric_mean([]))


def contestant(name: str, losses: list[float]) -> Contestant:
    return Contestant("peer", name, lambda: np.array(losses), lambda result: result)


def test_a_peer_that_computes_something_else_is_not_timed():
    reference = contestant("ours", [1.0, 2.0])
    assert [c.name for c in fastest([contestant("close", [1.00001, 2.0])], reference)] == ["close"]
    for losses in ([1.0, 2.001], [1.0, np.nan]):
        with pytest.raises(EvornnError, match="losses of peer"):
            fastest([contestant("other", losses)], reference)


def test_a_peer_with_other_gradients_is_not_timed():
    ours = replace(contestant("ours", [1.0]), gradients=lambda result: np.array([[3.0, 4.0]]))
    with pytest.raises(EvornnError, match="gradients of peer"):
        fastest([replace(ours, gradients=lambda result: np.array([[3.0, 4.1]]))], ours)


def test_rounds_take_turns_and_every_call_is_made_ready():
    order: list[str] = []
    runners = [replace(contestant(name, [1.0]), call=lambda name=name: order.append(name)) for name in "abc"]
    timings = interleave(runners, rounds=3)
    assert [timing.name for timing in timings] == list("abc") and all(t.median >= t.least > 0 for t in timings)
    assert "".join(order[::2]) == "".join(order[1::2]) == "abcbcacab"  # an untimed call, then the timed one


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_torch_and_evotorch_compute_what_we_do(cell, operation):
    """`check` raises unless they do."""
    posed = problem(cell, TINY, operation, threads=1)
    ours = kernels.ours(posed)
    expected, names = ours.call(), []
    for peer in ("torch", "evotorch"):
        for contestant in kernels.contestants(peer, posed, quick=False):
            check(contestant, contestant.call(), ours, expected)
            names.append(contestant.name)
    vmapped = {"elman": ["vmap twice", "vmap"], "lstm": ["vmap twice"]}.get(cell, []) if operation == "forward" else []
    assert names == ["tiles", "population", *["one by one"] * (cell != "ctrnn"), *vmapped]


def test_the_peak_loop_counts_its_steps():
    """From out[k] each chain goes to 500 by aₖ ← aₖ·0.999 + 0.5."""
    out = np.arange(16, dtype=np.float32)
    loop(5)(1, out)
    np.testing.assert_allclose(out, sum(0.999 * k + 0.5 for k in range(5)), rtol=1e-6)


def test_rows_as_json_and_as_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "QUICK", (TINY,))
    file = tmp_path / "kernels.json"
    options = ["--quick", "--cells", "elman,gru", "--peers", "torch,evotorch", "--threads", "1", "--json", str(file)]
    assert kernels.main(options) == 0
    result = json.loads(file.read_text())
    assert set(result) == {"machine", "rows"} and result["machine"]["peak_gflops"] > 0
    assert [(r["cell"], r["operation"]) for r in result["rows"]] == [
        (c, o) for o in OPERATIONS for c in ("elman", "gru")
    ]
    for row in result["rows"]:
        assert set(row) == set(KEYS.split()) and row["workload"] == [3, 4, 2, 3, 2, 5]
        assert row["jax_ms"] is None and row["ratio_jax"] is None and row["torch_ms"] > 0
        assert row["fraction_of_peak"] == pytest.approx(row["gflops"] / result["machine"]["peak_gflops"])
        if row["operation"] == "gradient":
            assert row["of_roofline"] is None
        else:
            assert 0 < row["fraction_of_peak"] < row["of_roofline"] < 1
    assert "3,4,2,3,2,5  gru" in capsys.readouterr().out


def row(**values: object) -> dict[str, object]:
    usual = {"workload": [64, 128, 8, 4, 64, 50], "cell": "elman", "operation": "forward", "ours_ms": 1.0}
    times = {"jax_ms": 4.0, "torch_ms": 2.0, "evotorch_ms": None}
    return {**usual, **times, "ratio_jax": 4.0, "gflops": 50.0, "fraction_of_peak": 0.6, "of_roofline": 0.7, **values}


def test_gradients_are_compared_with_the_better_of_jax_and_torch():
    assert speedup(row()) == 4 and speedup(row(operation="gradient")) == 2
    assert speedup(row(jax_ms=None)) is None


def test_targets_met_and_missed():
    rows = [row(evotorch_ms=30.0), row(operation="gradient"), row(cell="lstm", fraction_of_peak=0.4)]
    found = {what.split(":")[0] + what.split(":")[1][:10]: met for what, met in targets(rows)}
    assert found.pop("every cell within 2× of LSTM per multiply-add elman 1.0")
    assert found == {
        "forward geometric": True,
        "forward no row be": True,
        "gradient geometric": False,
        "gradient no row be": True,
        "forward ≥ 20× Evo": True,
        "forward elman wit": True,
        "forward lstm with": False,
    }
    machine = {"cpu": "some", "threads": 2, "peak_gflops": 200.0, "backend": "torch"}
    console = Console(width=140, record=True, file=StringIO())
    console.print(table({"machine": machine, "rows": rows}))
    text = console.export_text()
    assert "64,128,8,4,64,50" in text and "60%" in text and "70%" in text and text.count("missed") == 2
    lines = markdown({"machine": machine, "rows": rows}).splitlines()
    assert len(lines) == 2 + len(rows) and {line.count("|") for line in lines} == {len(COLUMNS) + 1}


def test_the_slowest_cell_is_compared_with_lstm_in_the_same_workload():
    rows = [row(cell="lstm", gflops=90.0), row(gflops=30.0), row(cell="gru", gflops=45.0)]
    rows += [row(operation="gradient", gflops=1.0), row(workload=[1] * 6, gflops=2.0)]
    assert slowest(rows) == ("elman", 3.0)
    assert ("every cell within 2× of LSTM per multiply-add: elman 3.00×", False) in list(targets(rows))
    assert slowest(rows[3:]) == ("lstm", 1.0)


def test_all_gated_cells_can_be_chosen():
    assert kernels.arguments(["--cells", "all"]).cells == list(GATED)
    with pytest.raises(UnknownName):
        kernels.arguments(["--cells", "lstn"])


def test_weights_that_are_fixed_are_multiplied_all_the_same():
    layout = Network("echo_state", inputs=2, units=5, outputs=3).layout
    assert workloads.flops(layout, 1, 1, 1, gradient=False) == 2 * (5 * 5 + 5 * 2 + 3 * 5)


def test_what_is_missing_or_unknown_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None if name == "jax" else find_spec(name))
    for options, said in (
        ([], "jax not installed: pip install -e '.[bench]'"),
        (["--cells", "elmann"], "did you mean 'elman'?"),
        (["--peers", "torch", "--workloads", "9"], "there are workloads 1…6"),
    ):
        assert kernels.main(options) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


TANH = SIGMOID = 19
ELEMENTWISE = {  # slots for each unit; a product that goes into one sum is one with it
    "elman": TANH,
    "lstm": 3 * SIGMOID + 2 * TANH + 3,  # f c, + i z, o tanh c
    "gru": 2 * SIGMOID + TANH + 4,  # r h, 1 − z, (1 − z) n, + z h
    "hierarchical": TANH + 5 + 3,  # every, where
    "mtrnn": TANH + 2,  # (1 − rate) u, + rate v: 1 − rate is always the same, and the read-out sees what the maps see
    "second_order": SIGMOID + 2,  # and the products of H units and 2 inputs
    "lstm_peephole": 3 * SIGMOID + 2 * TANH + 6,
}


@pytest.mark.parametrize("cell", ELEMENTWISE)
def test_the_roofline_counts_products_and_elementwise_instructions(cell):
    layout = Network(cell, inputs=2, units=8, outputs=3).layout
    products, rest = roofline.per_step(layout)
    assert products == workloads.flops(layout, 1, 1, 1, gradient=False) / 2 and rest == 8 * ELEMENTWISE[cell]


def test_layers_of_a_roofline_add_up():
    one, two = (Network("gru", inputs=8, units=8, outputs=1, layers=layers).layout for layers in (1, 2))
    assert roofline.per_step(two)[1] == 2 * roofline.per_step(one)[1]


def test_the_share_of_a_roofline():
    forward, gradient = (problem("elman", TINY, operation, threads=1) for operation in OPERATIONS)
    slots = 3 * 2 * 5 * (4 * (4 + 2) + 3 * 4 + 4 * TANH)
    assert (roofline.slots(forward), roofline.slots(gradient)) == (slots, None)
    assert roofline.share(slots, 1e-6, 100.0) == pytest.approx(2 * slots / 1e5)
    assert roofline.share(None, 1.0, 100.0) is None
    header, line = roofline.lines([TINY], ["elman"], 100.0)
    assert header.index("roofline") and line.split()[:4] == ["3,4,2,3,2,5", "elman", "36", "76"]


VERSUS = ["--quick", "--operations", "forward", "--cells", "elman", "--rounds", "2", "--threads", "1"]


def test_this_checkout_against_itself(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(kernels, "QUICK", (TINY,))
    assert versus.main([str(versus.HERE), *VERSUS, "--json", str(tmp_path / "versus.json")]) == 0
    result = json.loads((tmp_path / "versus.json").read_text())
    (row,) = result["rows"]
    assert row["workload"] == [3, 4, 2, 3, 2, 5] and row["apart"] == 0 and len(row["ratios"]) == 2
    assert 0 < row["old_ms"] < 100 and 0 < row["new_ms"] < 100 and result["old"] == result["new"]
    assert result["summary"]["forward"]["geometric_mean"] == pytest.approx(row["ratio"])
    assert "worst" in capfd.readouterr().out


def test_versus_says_what_is_no_checkout_or_unknown(tmp_path, capsys):
    for options, said in (
        ([str(tmp_path)], "is no checkout of evornn"),
        (["--cells", "elmann"], "did you mean 'elman'?"),
        (["--workloads", "9"], "there are workloads 1…3"),
        (["--operations", "backward"], "backward"),
    ):
        assert versus.main([*VERSUS, *options]) == 1
        assert said in capsys.readouterr().err


@pytest.mark.slow  # compiles the kernels
def test_every_operation_of_versus_is_computed(monkeypatch):
    """In this process, as a child would."""
    monkeypatch.setattr(kernels, "QUICK", (TINY,))
    rows = list(versus.rows(versus.arguments(["--quick", "--cells", "elman", "--threads", "1"])))
    assert [row["operation"] for row in rows] == ["forward", "gradient", *["control"] * 16, *["small"] * 4]
    assert len({row["what"] for row in rows if row["operation"] != "gradient"}) == len(rows) - 1
    for row in json.loads(json.dumps([rows[0], rows[1], rows[5], rows[-4]])):
        call, number = versus.MAKERS[row["operation"]](row)
        assert np.isfinite(number(call())) and number(call()) != 0


def test_samples_of_two_children_are_compared_in_turns():
    order: list[str] = []

    class Slow:
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        def compute(self, row):
            return 2 * self.seconds

        def sample(self):
            order.append(self.name)
            return self.seconds

    rows = [{"operation": "small", "what": what} for what in ("first", "second")]
    found = [versus.measure(row, Slow("a", 0.5), Slow("b", by), rounds=3) for row, by in zip(rows, (1, 4), strict=True)]
    assert "".join(order) == 2 * "ababbaab"
    assert [row["ratio"] for row in found] == [2, 8] and found[0]["apart"] == 1 and found[1]["new_ms"] == 4000
    assert versus.summary(found) == {"small": {"geometric_mean": pytest.approx(4), "worst": 8, "worst_row": "second"}}


@pytest.mark.parametrize("peer", ["ours", "pycma", "evotorch"])
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")  # both evotorch's
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
def test_every_optimizer_asks_for_whole_populations_of_its_size(peer):
    for algorithm in OURS:
        sizes = []

        def objective(points, sizes=sizes):
            sizes.append(points.shape)
            return np.square(points).sum(axis=1)

        generation = PEERS[peer](algorithm, objective, 6, 12, 0)
        if generation is not None:
            generation()
            generation()
            assert set(sizes) == {(12, 6)}


def test_a_running_time_counts_the_evaluations_until_the_target():
    counted = optimizers.CountingFunction("sphere", 3, seed=0)
    points = counted.optimum + np.array([[1.0], [0.5], [0.0], [0.0]])
    np.testing.assert_allclose(counted(points), [3, 0.75, 0, 0])
    counted(points)
    assert counted.reached and counted.spent == 3
    spent, reached = optimizers.run("ours", "sphere", 4, seed=0, limit=5000)
    assert reached and 100 < spent < 1500
    assert optimizers.run("pycma", "rastrigin", 4, seed=0, limit=50) == (56, False)


def test_optimizer_functions_have_their_optimum_at_nothing():
    for function in optimizers.FUNCTIONS.values():
        losses = function(np.concatenate([np.zeros((1, 5)), np.random.default_rng(0).standard_normal((20, 5))]))
        assert abs(losses[0]) < 1e-12 and losses[1:].min() > 0


@pytest.mark.parametrize(("two", "told"), [(19.0, "efficiency 95% (met: 90%)"), (17.0, "efficiency 85% (missed: 90%)")])
def test_scaling_tells_what_is_met(two, told):
    runs = {"per_minute": {1: 10.0, 2: two}, "efficiency": two / 20}
    large = {"members": 4096, "trainer": "openai_es", "ms": {1: 52.0, 2: 30.0}, "efficiency": 52 / 60}
    call = {"ms": {"32 members": {"there": 1.5, "here": 0.1}}}
    empty = {"ms": {"ray": 20.0, "thread": 8.0, "computing": 5.0}}
    talk = {"runs": 1000, "per_second": 2500.0}
    shown = scaling.lines({"runs": runs, "population": [large], "call": call, "run": empty, "updates": talk})
    assert told in shown[0] and "52.0 ms a generation alone, 30.0 in two shards: efficiency 87% (met: 80%)" in shown[1]
    assert shown[2:] == [
        "call        32 members: 1.50 ms there, 0.10 here",
        "empty run   20.0 ms on Ray, 8.0 in a thread, 5.0 of computing",
        "updates     2,500 a second from 1,000 runs at once, by one dispatcher",
    ]


WORDS = [words.Sizes(words=40, units=6, batch=5, steps=4), words.Sizes(words=600, units=5, batch=9, steps=3)]


@pytest.mark.parametrize("sizes", WORDS, ids=str)
@pytest.mark.parametrize("what", words.ANSWERS)
def test_the_word_models_of_torch_compute_what_ours_does(what, sizes):
    """With the embedding drawn into our map; `check` raises unless they do."""
    model, network = words.Model(sizes, True, False), words.make_network(sizes.words, sizes.words, sizes, threads=2)
    data = words.classes(sizes.words, sizes, 1), words.classes(sizes.words, sizes, 2)
    genome = words.genome_of(model, network)
    one, names = words.ours(what, network, genome[None], data, model), []
    expected = one.call()
    for peer in words.torch_models(what, sizes, model, data):
        check(peer, peer.call(), one, expected)
        names.append(peer.name)
    assert names[0] == "batch first" and len(set(names)) == len(names) == (2 if what == "losses" else 4)
    reference = Network("lstm", inputs=sizes.words, units=sizes.units, outputs=sizes.words, backend="torch")
    check(words.ours(what, reference, genome[None], data, model), expected, one, expected)


def test_the_first_of_a_crowd_of_word_models_is_the_one_held_against_torch():
    genomes = words.population(np.ones(50, np.float32), members=3)
    assert (genomes[0] == 1).all() and 0 < np.abs(genomes[1:] - 1).max() < 0.1


@pytest.mark.slow  # processes of their own, and the peak is compiled
def test_words_as_json_and_as_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(words, "Sizes", lambda **given: WORDS[0])
    monkeypatch.setattr(
        words, "memory", lambda *given: MEMORY | dict(zip(("operation", "members"), given, strict=False))
    )
    assert words.main(["--quick", "--threads", "1", "--json", str(tmp_path / "words.json")]) == 0
    result = json.loads((tmp_path / "words.json").read_text())
    assert [(r["operation"], r["members"]) for r in result["speed"]] == [(w, p) for w in words.ANSWERS for p in (1, 32)]
    for r in result["speed"]:
        assert r["tokens_per_s"] == pytest.approx(1e3 * r["members"] * 20 / r["ours_ms"])
        assert r["ratio"] == pytest.approx(r["members"] * r["torch_ms"] / r["ours_ms"])
    assert {(r["words_in"], r["words_out"]) for r in result["lookup"]} == {(40, 40), (40, 80)}
    told = capsys.readouterr().out
    assert "met     losses, 32 members: nothing of size [P, B, T, O]: 9 MB beside" in told and "at the FMA peak" in told


MEMORY = {"genomes_mb": 10.0, "answer_mb": 0.0, "outputs_mb": 20.0, "first_mb": 9.0, "later_mb": 8.0}


@pytest.mark.slow  # a process of its own
def test_the_memory_of_a_word_model():
    sizes = words.Sizes(words=700, units=4, batch=8, steps=3)
    found, n = words.memory("gradients", 2, sizes, threads=1), words.make_network(700, 700, sizes, 1).n
    assert found["genomes_mb"] == pytest.approx(8e-6 * n) and found["answer_mb"] == pytest.approx(8e-6 * (n + 1))
    assert found["outputs_mb"] == pytest.approx(2 * 8 * 3 * 700 * 4e-6) and found["first_mb"] < 100


def test_cells_written_a_moment_ago():
    """The one where nothing is different is the catalog's, all have a SIMD kernel, and no class is seen twice."""
    sizes, x = Workload(3, 4, 2, 1, 5, 6), np.random.default_rng(0).standard_normal((5, 6, 2), np.float32)
    known = start.make_network("gru", sizes)
    genomes, y = known.sample(3, seed=0), np.zeros((5, 6, 1))
    for name in start.kinds():
        own, reference = (start.new_cell(name) for _ in range(2))
        assert type(own) is not type(reference)
        exact = Network(reference, inputs=2, units=4, outputs=1, backend="torch").gradients(genomes, x, y)
        for ours, right in zip(start.make_network(own, sizes).gradients(genomes, x, y), exact, strict=True):
            np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)
        if name == "nothing":
            assert (start.make_network(own, sizes).losses(genomes, x, y) == known.losses(genomes, x, y)).all()


@pytest.mark.parametrize(("slowest", "told"), [(49.0, "met "), (51.0, "missed")])
def test_a_start_tells_what_is_met(slowest, told):
    cell = {"losses_ms": 3.0, "gradients_ms": slowest, "losses_ratio": 1.0, "gradients_ratio": 1.1}
    times = {"imports": 0.2, "execute": 7.0, "run": 9.0}
    started = {cache: dict.fromkeys(start.STAGES, 1.5) for cache in ("empty", "full")}
    found = {"compiled": times, "loaded": dict.fromkeys(times, 0.4), "started": started}
    shown = list(start.lines({**found, "cells": [{**cell, "cell": "sine"}]}))
    assert any(line.split() == ["sine", "3.0", f"{slowest:.1f}", "1.00", "1.10"] for line in shown)
    assert [line[:6].strip() for line in shown[-4:]] == ["met", "missed", "met", told.strip()]
    assert "all that a first run compiles ≤ 25 s: 16.2 s" in shown[-4] and "loading it ≤ 1 s: 1.20 s" in shown[-3]


@pytest.mark.slow  # processes of their own
def test_what_a_start_measures_in_other_processes():
    cache = kept.root()  # not an empty one: that would compile
    functions, stages = start.child(cache, "functions"), start.stages(cache)
    assert set(functions) == {"imports", *FUNCTIONS} and min(functions.values()) > 0
    assert list(stages) == list(start.STAGES) and sorted(stages.values()) == list(stages.values())
    row = start.measure("sine", Workload(8, 4, 2, 1, 3, 5), rounds=1)
    assert row["cell"] == "sine" and min(row[f"{what}_{of}"] for what in start.ANSWERS for of in ("ms", "ratio")) > 0
