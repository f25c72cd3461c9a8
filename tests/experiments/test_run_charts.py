"""Charts of a run and of a network: what they show is what was given, and names in them are text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from stores import row

from evornn.experiments.execute import load_task
from evornn.experiments.reporting import network_charts, run_charts
from evornn.experiments.reporting.network_summary import NetworkSummary, Trajectory, matrix, summarise_network
from evornn.kernels.reference import matrix as reference_matrix
from evornn.networks.network import Network

SCRIPT = "<script>alert(1)</script>"


def test_a_curve_grows_by_what_it_lacks() -> None:
    """Drawn at once or bit by bit, it is the same."""
    rows = [row(mark, extra={"sigma": 1.0 / mark}) for mark in range(1, 9)]
    for x in run_charts.AXES:
        whole, part = run_charts.run_curve(rows, x), run_charts.run_curve(rows[:3], x)
        more = run_charts.curve_points(rows[3:], x)
        for k, trace in enumerate(part.data):
            assert [*trace.x, *more["x"][k]] == list(whole.data[k].x)
            assert [*trace.y, *more["y"][k]] == list(whole.data[k].y)
        found = run_charts.searcher(rows, ["sigma"], x)
        assert list(found.data[0].y) == [1.0 / mark for mark in range(1, 9)]


def test_what_is_not_finite_is_a_gap_and_the_figure_is_json() -> None:
    rows = [row(1, best=np.nan, valid=np.inf, extra={"sigma": np.inf}), row(2)]
    points = run_charts.curve_points(rows, "seconds")
    names = list(run_charts.TRACES)
    assert points["y"][names.index("best")] == [None, 0.5] and points["y"][names.index("valid")] == [None, 0.5]
    assert run_charts.searcher_names(rows) == ["sigma"]
    for figure in (run_charts.run_curve(rows), run_charts.searcher(rows, ["sigma"]), run_charts.run_curve([])):
        assert "NaN" not in figure.to_json() and "Infinity" not in figure.to_json()


@pytest.mark.parametrize(("valid", "axis"), [(0.2, "log"), (0.0, "log"), (-1.0, "linear")])
def test_the_axis_of_losses_is_logarithmic_also_where_a_task_is_solved(valid: float, axis: str) -> None:
    """A loss of 0 is left out of it; minus a return may be below 0, and then nothing has a logarithm."""
    assert run_charts.run_curve([row(1), row(2, valid=valid)]).layout.yaxis.type == axis


def test_names_are_text_everywhere() -> None:
    rows = [row(1, extra={SCRIPT: 1.0})]
    figures = [
        run_charts.searcher(rows, [SCRIPT]),
        run_charts.table_chart([SCRIPT, "y"], [[SCRIPT, 1], [None, float("nan")]], SCRIPT, "y"),
        network_charts.eigenvalues({SCRIPT: np.eye(2, dtype=np.float32)}),
        network_charts.trajectory(Trajectory((SCRIPT,), np.zeros((3, 1), np.float32))),
    ]
    for figure in figures:
        assert "<script" not in json.dumps(figure.to_plotly_json(), default=str)


@pytest.mark.parametrize(("kind", "trace"), [("points", "scatter"), ("lines", "scatter"), ("bars", "bar")])
def test_a_query_as_a_chart(kind: str, trace: str) -> None:
    figure = run_charts.table_chart(["a", "b"], [["x", 1], ["y", 2.5]], "a", "b", kind)
    assert figure.data[0].type == trace and list(figure.data[0].y) == [1, 2.5] and list(figure.data[0].x) == ["x", "y"]


def test_eigenvalues_are_those_of_the_matrix() -> None:
    turn = np.array([[0, -1], [1, 0]], np.float32)
    found = network_charts.eigenvalues({"h": turn, "lost": np.full((2, 2), np.nan, np.float32)}).data
    np.testing.assert_allclose(sorted(found[1].y), [-1, 1], atol=1e-6)
    np.testing.assert_allclose(found[1].x, 0, atol=1e-6)
    assert len(found[2].x) == 0


@pytest.mark.parametrize("kind", ["elman", "lstm", "gru", "echo_state", "clockwork", "hopfield"])
def test_a_portrait_shows_the_weights_that_the_kernels_use(kind: str) -> None:
    """Masks and fixed weights included."""
    sizes: dict[str, Any] = {} if kind == "hopfield" else {"units": 8}
    network = Network(kind, inputs=8 if kind == "hopfield" else 2, outputs=8 if kind == "hopfield" else 1, **sizes)
    genome = network.sample(1, seed=0)
    for name in (*network.layout.blocks, *network.layout.fixed_weights):
        given = torch.as_tensor(network.arguments.genomes(genome))
        expected = reference_matrix(network.layout, given, name)[0].numpy()
        shown = matrix(network.layout, genome[0], name)
        np.testing.assert_array_equal(shown.reshape(-1), expected.reshape(-1))


def test_a_portrait_of_a_forecaster() -> None:
    _, data = load_task({"kind": "sunspots"})
    network = Network("lstm", inputs=data.sizes[0], units=3, outputs=data.sizes[1])
    genome = network.sample(1, seed=1)[0]
    seen = summarise_network(network, data, genome, SCRIPT)
    assert set(seen.recurrent) == {"0.f.h", "0.i.h", "0.z.h", "0.o.h"} and set(seen.activity) == {"h", "c"}
    steps = min(data.test.inputs.shape[1], 200)
    assert seen.activity["h"].shape == (steps, 3) and seen.forecast is not None
    _, state = network.predict(genome[None], data.test.inputs[:1, :steps], return_state=True)
    np.testing.assert_allclose(seen.activity["h"][-1], state[0]["h"][0, 0], atol=1e-5)
    pictures = network_charts.network_figures(seen, data.baselines)
    assert len(pictures) >= 5 and all("<script" not in figure.to_json() for _, figure in pictures)


def test_a_portrait_of_a_controller() -> None:
    """The path ends where the episode does."""
    _, data = load_task({"kind": "single_pole"})
    network = Network("elman", inputs=data.sizes[0], units=3, outputs=data.sizes[1])
    genomes = network.sample(20, seed=2)
    from evornn.training.plant_problem import PlantProblem

    control = PlantProblem(network, data.test, data.loss)
    lived = control.episodes(genomes, 300)
    for genome, steps, end in zip(genomes, lived.steps[:, 0], lived.final_states[:, 0], strict=True):
        path = control.path(genome, 300)
        assert len(path) - 1 == min(steps + 1, 300)
        np.testing.assert_allclose(path[-1], end, rtol=1e-3, atol=1e-4)
    seen = summarise_network(network, data, genomes[0])
    assert seen.trajectory is not None and seen.trajectory.states == data.test.plant.state
    assert network_charts.network_figures(seen)


def test_nothing_to_see_is_no_error() -> None:
    assert network_charts.network_figures(NetworkSummary({}, {}, {})) == []
    flat = network_charts.weights(np.zeros((2, 2), np.float32))
    assert flat.data[0].zmin < flat.data[0].zmax
