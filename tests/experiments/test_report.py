"""Comparison, terminal and HTML report on made-up runs whose answers are known."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import browser
import numpy as np
import pandas as pd
import pytest
from made_up_runs import BUDGET, FAMILIES, NASTY, graded, make_runs, render

from evornn.errors import EvornnError
from evornn.experiments.analysis import narrative, targets
from evornn.experiments.analysis.compare import compare
from evornn.experiments.analysis.comparison import as_data
from evornn.experiments.analysis.targets import TaskRuns
from evornn.experiments.reporting import charts
from evornn.experiments.reporting.charts import ForecastLines
from evornn.experiments.reporting.palette import label, styles
from evornn.experiments.reporting.report import hide_password, report, write_page
from evornn.tasks.core.task import Baseline, Chart

SPEC = {"name": "made_up", "tasks": [{"kind": "sunspots"}]}


def bars(*losses: float) -> dict[str, list[Baseline]]:
    return {"series": [Baseline(f"baseline {k}", loss, loss) for k, loss in enumerate(losses)]}


def drawn() -> ForecastLines:
    truth = np.arange(24, dtype=np.float32)[:, None]
    months = pd.date_range("2000-01-01", periods=24, freq="MS").strftime("%Y-%m-%d").tolist()
    nothing, one = np.zeros((24, 1), np.float32), np.ones(1, np.float32)
    return ForecastLines(Chart(months, truth, nothing, one, "spots", truth[:5, 0]), {NASTY: truth + 1}, {NASTY: "adam"})


def page(seeds: int = 5, **changes) -> str:
    runs, curves = make_runs(seeds, **changes)
    found = compare(runs, curves, FAMILIES, bars(0.25))
    return report(
        found, runs, curves, bars(0.25), {"series": drawn()}, SPEC, {"versions": {"torch": "2.13.0"}}, "sqlite:///x"
    )


class Tags(HTMLParser):
    """All start tags of a page, scripts' contents left aside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


# comparison


def test_the_chosen_run_is_the_lowest_on_validation_and_is_judged_on_test():
    found = compare(*make_runs(3), FAMILIES, bars(0.25, 0.105)).tasks[0]
    assert (found.chosen.network, found.chosen.trainer, found.chosen.seed) == ("elman", "memetic", 0)
    assert found.chosen.test == pytest.approx(0.11)
    assert [v.beaten for v in found.chosen.verdicts] == [True, False]
    assert [v.runs_beating for v in found.chosen.verdicts] == [12, 0]  # memetic and adam of both networks


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (
            (0.2, 0.3),
            "it beats every baseline: baseline 0 (0.2000, 45.0 % lower) and baseline 1 (0.3000, 63.3 % lower)",
        ),
        ((0.2, 0.1), "it does not beat baseline 1 (0.1000, 10.0 % higher); it beats baseline 0 (0.2000, 45.0 % lower)"),
        ((0.1, 0.11), "it beats none of the baselines: baseline 0 (0.1000, 10.0 % higher) and baseline 1"),
        ((1e-12,), "it beats none of the baselines: baseline 0 (1.000e-12, 1.1e+11 times as high)"),
        ((), "There is no baseline"),
        ((0.0,), "it beats none of the baselines: baseline 0 (0.000, the network is above 0)"),
        ((0.2, 0.0), "it does not beat baseline 1 (0.000, the network is above 0); it beats baseline 0 (0.2000"),
        ((-0.1,), "it beats none of the baselines: baseline 0 (-0.1000, 210.0 % higher)"),
        ((-0.001,), "it beats none of the baselines: baseline 0 (-0.001000, 11100.0 % higher)"),
    ],
)
def test_the_sentence_on_baselines_is_right_both_ways(losses, words):
    found = compare(*make_runs(2), FAMILIES, bars(*losses))
    assert words in narrative.compare_with_baselines(found.tasks[0])
    assert words.split(":")[0] in " ".join(render(found).split())


def test_a_difference_in_a_table_is_in_percent_or_a_factor():
    told = [narrative.difference(margin) for margin in (-0.237, 0.1, 10.0, 1e11)]
    assert told == ["-23.7 %", "+10.0 %", "+1000.0 %", "× 1e+11"]
    assert (narrative.difference(20.0, -1.0), narrative.difference(np.inf, 0.0)) == ("+2000.0 %", "∞")
    runs, curves = make_runs(2)
    found = compare(runs, curves, FAMILIES, bars(1e-12))
    assert "× 1.1e+11" in report(found, runs, curves, bars(1e-12))


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_too_few_seeds_print_no_test_and_say_so(seeds):
    found = compare(*make_runs(seeds), FAMILIES)
    contests = [found.tasks[0].contest_of_families, *found.tasks[0].contests]
    assert all(contest.note.startswith("too few seeds for a test") and not contest.test for contest in contests)
    assert all(p.p is None and p.corrected is None and p.better is None for c in contests for p in c.pairs)
    assert "too few seeds" in narrative.families(found.tasks[0], 0.05)[1].lower()
    assert "p ≤" not in render(found) and "Too few seeds for a test" in page(seeds)


def test_enough_seeds_find_a_clear_order_and_no_more():
    def loss(network, trainer, seed):  # adam and cma_es differ by chance only, memetic by much
        return (
            graded(network, "memetic", seed)
            if trainer == "memetic"
            else 0.3 + 0.01 * (-1) ** (seed + (trainer == "adam"))
        )

    contest = compare(*make_runs(10, loss=loss), FAMILIES).tasks[0].contest_of_families
    better = {(p.a, p.b): p.better for p in contest.pairs}
    assert better == {
        ("gradient", "evolution"): None, ("gradient", "hybrid"): "hybrid", ("evolution", "hybrid"): "hybrid",
    }  # fmt: skip
    sure = [p for p in contest.pairs if p.better]
    assert [p.p for p in sure] == pytest.approx([2 / 2**10] * 2)
    assert [p.corrected for p in sure] == pytest.approx([3 * 2 / 2**10] * 2)
    words = narrative.describe_tests(contest, 0.05)
    assert "lower for hybrid than for gradient and evolution" in words
    assert "no difference could be shown between gradient and evolution" in words


def test_runs_on_other_seeds_are_not_paired():
    runs, curves = make_runs(10, networks=("elman",))
    runs.loc[runs["trainer"] == "adam", "seed"] += 100
    contest = compare(runs, curves, FAMILIES).tasks[0].contests[0]
    assert "Mann–Whitney" in contest.test and "Wilcoxon" in contest.test
    by_name = {(p.a, p.b): p for p in contest.pairs}
    assert by_name["adam", "memetic"].better == "memetic"


def test_failed_runs_rank_worst_and_are_shown():
    runs, curves = make_runs(4, failed=(1, 2, 3))
    found = compare(runs, curves, FAMILIES)
    cell = found.tasks[0].cells[0]
    assert (cell.failed, cell.runs, cell.test.bad) == (3, 4, 3)
    assert cell.test.median == np.inf and cell.rank == 2
    assert "3 runs failed and count as the worst: run 1 (elman, adam, seed 0)" in " ".join(render(found).split())
    text = report(found, runs, curves)
    assert "(3 failed)" in text and "3 runs failed" in text
    assert all(reach.successes <= 1 for reach in cell.reached)
    json.dumps(as_data(found), allow_nan=False)


def test_a_tasks_own_score_is_shown_where_there_is_one():
    runs, curves = make_runs(4, failed=(1,))
    assert all(cell.judged is None for cell in compare(runs, curves, FAMILIES).tasks[0].cells)
    good = runs["state"] == "succeeded"
    runs["score"] = np.where(good, "share of strings right", None)
    runs["test_score"] = np.where(good, 0.25 * runs["seed"] + 0.25, np.nan)
    runs["solved"] = np.where(good, runs["seed"] == 3, None)
    found = compare(runs, curves, FAMILIES)
    cells = found.tasks[0].cells
    assert [cell.judged.solved for cell in cells] == [1] * 6 and cells[0].judged.name == "share of strings right"
    assert cells[0].judged.score.median == 0.75 and cells[1].judged.score.median == 0.625, "of those that succeeded"
    words = " ".join(render(found).split())
    assert "score: share of strings right on test" in words and "1/4" in words and "0.625" in words
    assert "share of strings right" in report(found, runs, curves, bars(0.2))
    runs["solved"] = None  # a task that knows no solution
    assert compare(runs, curves, FAMILIES).tasks[0].cells[0].judged.solved is None


def test_a_loss_that_is_not_finite_is_never_chosen():
    runs, curves = make_runs(3)
    runs.loc[0, ["valid_loss", "test_loss"]] = [-np.inf, np.nan]
    assert compare(runs, curves, FAMILIES).tasks[0].chosen.run != 1
    runs["valid_loss"] = np.nan
    found = compare(runs, curves, FAMILIES, bars(0.2))
    assert found.tasks[0].chosen is None and "no network to choose" in render(found)
    assert "no network to choose" in report(found, runs, curves, bars(0.2))


def test_targets_are_named_and_runtimes_are_read_at_marks_or_hits():
    runs, curves = make_runs(2, networks=("elman",), trainers=("adam",))
    found = compare(runs, curves, FAMILIES, bars(0.61)).tasks[0]
    reached = {reach.target: reach for reach in found.cells[0].reached}
    assert reached["baseline 0"].ert.value == 500  # 1 − 0.8 · mark/10 ≤ 0.61 from mark 5 on
    assert reached["training loss 0.5"].ert.value == pytest.approx((641 + 642) / 2)
    assert found.headline.name == "baseline 0"
    assert [t.loss for t in found.targets] == pytest.approx([0.5, 0.61, 0.2005, 0.2001])  # hits, baseline, quantiles


def test_a_baseline_that_nobody_reaches_is_no_measure_of_success():
    found = compare(*make_runs(2), FAMILIES, bars(0.01)).tasks[0]
    assert found.headline.name == "half of all runs"
    assert next(r for r in found.cells[0].reached if r.target == "baseline 0").ert.value == np.inf


def test_unfinished_and_repeated_runs_are_left_out_and_said_to_be():
    runs, curves = make_runs(3)
    runs.loc[0, "state"], runs.loc[1, "state"] = "running", "cancelled"
    runs.loc[3, "seed"], runs.loc[3, "trainer"] = 2, "adam"  # repeats run 3
    found = compare(runs, curves, FAMILIES)
    assert {"1 run is running and left out.", "1 run is cancelled and left out."} < set(found.notes)
    assert any("repetition" in note for note in found.notes)
    assert next(c for c in found.tasks[0].cells if (c.network, c.trainer) == ("elman", "adam")).runs == 1


def test_trainers_are_ranked_over_all_tasks_by_interquartile_mean():
    runs, curves = make_runs(4)
    other = runs.assign(task="other", run=runs["run"] + 100, test_loss=runs["test_loss"] * 10)
    both = compare(pd.concat([runs, other]), pd.concat([curves, curves.assign(run=curves["run"] + 100)]), FAMILIES,
                   {**bars(0.2), "other": [Baseline("best", 2, 2)]})  # fmt: skip
    assert [o.trainer for o in both.overall] == ["memetic", "adam", "cma_es"]
    # memetic's relative losses are 0.11 … 0.113 and 0.12 … 0.123 over 0.2, on both tasks; the middle half lies between
    assert both.overall[0].iqm.value == pytest.approx(np.mean([0.112, 0.113, 0.12, 0.121]) / 0.2)
    assert len(both.tasks) == 2 and "all tasks" in render(both)


def test_a_single_run_is_reported_without_any_contest():
    runs, curves = make_runs(1, networks=("elman",), trainers=("adam",))
    found = compare(runs, curves, FAMILIES)
    assert "only one contestant" in render(found) and "All trainers are of one family (gradient)" in render(found)
    assert "Chosen on validation data: elman trained by adam" in report(found, runs, curves)


@pytest.mark.parametrize("state", [None, "queued"])
def test_nothing_finished_is_an_error_that_says_what_to_do(state):
    runs, curves = make_runs(1)
    runs = runs.assign(state=state) if state else runs.head(0)
    with pytest.raises(EvornnError, match="nothing to compare: no run has finished yet; see `evornn ls`"):
        compare(runs, curves)


def test_a_missing_column_is_named():
    runs, curves = make_runs(1)
    with pytest.raises(EvornnError, match="lack the column 'seed'"):
        compare(runs.drop(columns="seed"), curves)
    with pytest.raises(EvornnError, match="curves to compare lack the column 'champion_valid'"):
        compare(runs, curves.drop(columns="champion_valid"))


def test_the_same_runs_give_the_same_comparison_in_any_row_order():
    runs, curves = make_runs(4)
    assert compare(runs, curves, FAMILIES) == compare(runs, curves.sample(frac=1, random_state=1), FAMILIES)


# the page


def test_the_page_asks_nothing_of_the_network():
    text = page()
    for tag, attributes in Tags(text).found:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "action", "background", "srcset"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert "http://" not in outside and "https://" not in outside and "@import" not in text.split("</style>")[0]
    assert "default-src 'none'" in text and text.count("sha256-") == 2


def test_the_policy_names_the_very_scripts_on_the_page():
    from base64 import b64encode
    from hashlib import sha256

    text = page()
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    assert len(scripts) == 2
    assert all(b64encode(sha256(script.encode()).digest()).decode() in text[:3000] for script in scripts)


def test_a_script_in_a_name_is_text_and_the_page_is_well_formed():
    text = page(6, networks=("elman", NASTY), trainers=("adam", NASTY))
    scripts = [attributes for tag, attributes in Tags(text).found if tag == "script"]
    assert scripts == [{}, {"type": "application/json", "id": "charts"}, {}]
    body = re.sub(r"<(script|style)\b.*?</\1>", "", text.removeprefix("<!DOCTYPE html>").strip(), flags=re.S)
    tree = ElementTree.fromstring(body)
    assert NASTY in "".join(tree.itertext())


def test_the_charts_on_the_page_are_json_with_their_names_as_text():
    text = page(6, trainers=("adam", NASTY))
    data = json.loads(re.search(r'id="charts">(.*?)</script>', text, flags=re.S)[1])
    places = {attributes["id"] for _, attributes in Tags(text).found if attributes.get("class") == "chart"}
    assert places == set(data["figures"]) and set(data["templates"]) == {"light", "dark"}
    names = {trace.get("name", "") for figure in data["figures"].values() for trace in figure["data"]}
    assert label(NASTY) in names and not any("<" in name for name in names)


def test_the_page_tells_where_it_comes_from():
    text = page()
    for words in ("made_up", "kind: sunspots", "2.13.0", "sqlite:///x", "evornn run experiment.yaml", "gradient"):
        assert words in text
    assert hide_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert hide_password("sqlite:///a.db") == "sqlite:///a.db"


@pytest.mark.slow
def test_the_page_on_a_phone(tmp_path):
    """Nothing that the keyboard can't reach, nothing wider than the screen, and names beside what they are names of."""
    (tmp_path / "report.html").write_text(page())
    with browser.browser() as chromium:
        shown = chromium.new_page(viewport=browser.PHONE)
        shown.goto((tmp_path / "report.html").as_uri())
        assert browser.faults(shown) == []
        assert shown.evaluate("document.documentElement.scrollWidth") == browser.PHONE["width"]
        places = shown.locator("tbody th").evaluate_all("all => all.map(th => getComputedStyle(th).verticalAlign)")
        assert places and "bottom" not in places


def test_a_report_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(EvornnError, match="choose another file"):
        write_page(tmp_path / "no" / "such" / "folder.html", "page")
    assert write_page(tmp_path / "report.html", "<p>page</p>").read_text("utf-8") == "<p>page</p>"


def test_names_are_no_markup_in_the_terminal():
    text = render(compare(*make_runs(1, trainers=("[red]adam[/red]",)), {}))
    assert "[red]adam[/red]" in text
    assert max(len(line) for line in text.splitlines()) <= 100


# charts


def test_a_trainer_has_one_colour_in_every_chart():
    runs, curves = make_runs(3)
    look, tracks = styles(FAMILIES), targets.tracks(curves)
    lines = {t.name: t.line.color for t in charts.learning_curves(runs, tracks, look).data if t.name}
    boxes = {t.name: t.marker.color for t in charts.final_losses(runs, look).data}
    steps = {
        t.name: t.line.color for t in charts.runtimes([TaskRuns(runs, targets.ladder(runs, tracks))], tracks, look).data
    }
    assert lines == boxes == steps == {name: style.colour for name, style in look.items()}
    assert len(set(lines.values())) == 3


def test_learning_curves_are_the_median_over_seeds():
    runs, curves = make_runs(3, networks=("elman",), trainers=("adam",))
    figure = charts.learning_curves(runs, targets.tracks(curves), styles(["adam"]))
    x, y = (np.asarray(figure.data[2][axis]) for axis in "xy")
    assert (x[0], y[0]) == (0, 1) and (x[-1], y[-1]) == (BUDGET, pytest.approx(0.201))
    assert y[np.searchsorted(x, 550)] == pytest.approx(1 + (0.201 - 1) * 0.5)  # what was known at mark 5


def test_a_failed_run_ends_its_part_of_the_curve():
    runs, curves = make_runs(1, networks=("elman",), trainers=("adam",), failed=(1,))
    long = charts.learning_curves(runs, targets.tracks(curves[curves["mark"] < 5]), styles(["adam"]))
    assert np.asarray(long.data[2].x).max() == 400


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_names_its_axes_in_both_themes(theme):
    runs, curves = make_runs(2)
    found = compare(runs, curves, FAMILIES, bars(0.25)).tasks[0]
    look, tracks = styles(FAMILIES), targets.tracks(curves)
    figures = [
        charts.learning_curves(runs, tracks, look, "seconds", ("best", 0.25), theme),
        charts.final_losses(runs, look, ("best", 0.25), theme),
        charts.runtimes([TaskRuns(runs, targets.ladder(runs, tracks))], tracks, look, theme),
        charts.success_rates(found.cells, found.headline.name, look, theme),
        charts.effect_sizes(found.contests[0], theme),
        charts.forecasts(drawn(), look, theme=theme),
        charts.predicted_true(drawn(), look, theme=theme),
    ]
    assert all(figure.layout.xaxis.title.text and figure.layout.yaxis.title.text for figure in figures)
    assert "[s]" in figures[0].layout.xaxis.title.text and "spots" in figures[5].layout.yaxis.title.text


def test_forecasts_continue_the_calendar_backwards():
    measured = charts.forecasts(drawn(), styles(FAMILIES)).data[0]
    assert list(measured.x[:6]) == ["1999-08-01", "1999-09-01", "1999-10-01", "1999-11-01", "1999-12-01", "2000-01-01"]
    assert list(measured.y[:6]) == [0, 1, 2, 3, 4, 0]
