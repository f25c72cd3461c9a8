"""The dashboard in a real browser, on a real server, with real runs: nothing from elsewhere, nothing on the console."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as tools
import pytest
from playwright.sync_api import Browser, Page, expect
from postgres import Postgres
from serving import Server, serving, working
from small_models import small_model, small_table, text_model

from evornn import library
from evornn.experiments.analysis.narrative import by_result, number, settings
from evornn.experiments.reporting.palette import INK
from evornn.models.table_file import csv_text
from evornn.service.service import submit
from evornn.store.store import open_store

pytestmark = pytest.mark.slow
SHORT: dict[str, Any] = {
    "name": "<img src=x onerror=alert(1)> & \"quoted\"", "tasks": [{"kind": "sines", "label": "<b>sines</b>"}],
    "networks": [{"kind": "elman", "units": 4}], "trainers": [{"kind": "adam"}, {"kind": "cma_es", "population": 8}],
    "seeds": 2, "budget": {"steps": 200_000, "marks": 10},
}  # fmt: skip
TUNED: dict[str, Any] = {
    **SHORT, "name": "tuned", "budget": {"steps": 20_000, "marks": 4},
    "trainers": [{"kind": "adam", "label": "<i>adam</i>", "learning_rate": {"from": 0.001, "to": 0.1}}],
    "tuning": {"trials": 4, "budget": {"steps": 10_000, "marks": 2}},
}  # fmt: skip
LONG = """\
name: endless
tasks: [{kind: sines}]
networks: [{kind: elman, units: 4, label: "<script>alert(2)</script>"}]
trainers: [{kind: snes, population: 16}]
seeds: 1
budget: {steps: 1_000_000_000_000, marks: 1_000_000}
"""


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with tools.browser() as chromium:
        yield chromium


ON_A_PHONE = pytest.mark.parametrize("size", [tools.PHONE], ids=["phone"])  # all others on a desktop


@pytest.fixture(scope="module")
def server(postgres: Postgres, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a job that has ended or soon will, and somebody who computes what is submitted."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "data").mkdir()
    url = postgres.database(migrated)
    with open_store(url) as store:
        submit(store, SHORT)
    with working(url), serving(url, "--data", str(folder / "data")) as served:
        yield served


@pytest.fixture
def size() -> dict[str, int]:
    """The window's."""
    return tools.DESKTOP


@pytest.fixture
def page(opened: Browser, server: Server, size: dict[str, int]) -> Iterator[Page]:
    """A page that fails its test for a word on the console, a request to elsewhere, or a dialog."""
    context = opened.new_context(viewport=size, accept_downloads=True)  # type: ignore[arg-type]
    found, wrong = context.new_page(), list[str]()
    found.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("request", lambda asked: None if _here(asked.url, server) else wrong.append(asked.url))
    found.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    found.set_default_timeout(tools.READY_MS)
    yield found
    sideways = found.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    assert wrong == [] and sideways <= 0


def _here(url: str, server: Server) -> bool:
    return url.startswith((server.url, "data:", "blob:"))


def points(page: Page) -> int:
    """How many points the learning curve has."""
    return int(page.evaluate("document.querySelector('#run-curve .js-plotly-plot')?.data?.[3].x.length ?? 0"))


def grows(page: Page, beyond: int) -> int:
    """Wait until the learning curve has more points; answers how many."""
    deadline = time.monotonic() + tools.READY_MS / 1000
    while points(page) <= beyond:
        assert time.monotonic() < deadline, f"the curve still has {points(page)} points"
        page.wait_for_timeout(100)
    return points(page)


def test_a_run_from_its_spec_to_its_comparison(page: Page, server: Server, tmp_path: Path) -> None:
    tools.log_in(page, server, "submit")
    expect(page.locator("#submit-cost")).to_contain_text("10 M")  # of what the form begins with
    page.get_by_label("The spec to submit").fill(LONG)
    expect(page.locator("#submit-cost")).to_contain_text("1e+03 G")
    page.locator("#submit-go").click()

    # Runs: the new one is there, and moves.
    page.wait_for_url(re.compile(r"\?job=\d+"))
    expect(page.locator("#runs .state-running")).to_be_visible()
    assert tools.faults(page) == []

    # The job as a whole: cancel, resume; rows that had ended move again.
    expect(page.locator("#job-now")).to_contain_text("endless")
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator("#runs .state-cancelled")).to_be_visible()
    expect(page.locator("#job-now")).to_contain_text("1 cancelled")
    assert tools.faults(page) == []
    page.get_by_role("button", name="Resume all").click()
    expect(page.locator("#runs .state-running")).to_be_visible()
    page.locator("#runs .ag-cell[col-id=run] a").first.click()

    # Run: the curve grows; cancel, resume.
    page.wait_for_url(re.compile(r"/run/\d+"))
    grows(page, beyond=grows(page, beyond=1))
    assert tools.faults(page) == []
    the_network_so_far(page)
    the_searcher_grows(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#run-top .state-cancelled")).to_be_visible()
    before = points(page)
    page.get_by_role("tab", name="Network").click()
    expect(page.locator("#run-network-words")).to_contain_text("before the run was cancelled")
    page.get_by_role("button", name="Resume").click()
    grows(page, beyond=before)
    page.get_by_role("tab", name="Events and log").click()
    expect(page.locator("#run-events")).to_contain_text("resumed")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#run-top .state-cancelled")).to_be_visible()

    # Compare: the job that has ended, with the charts of the report.
    page.goto(tools.address(server, "compare?job=1"))
    expect(page.locator("#compare-found table").first).to_contain_text("cma_es")
    expect(page.locator("#compare-found table").nth(1)).to_contain_text("MASE")
    expect(page.locator("#compare-found .js-plotly-plot").first).to_be_visible()
    assert tools.faults(page) == []

    # Query, and take the answer home.
    page.goto(tools.address(server, "query"))
    page.get_by_label("SQL").fill("SELECT network, seed, valid_loss FROM results WHERE job = 1 ORDER BY seed")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#query-answer")).to_contain_text("4 rows")
    expect(page.locator("#query-chart .js-plotly-plot")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="CSV").click()
    taken.value.save_as(tmp_path / "query.csv")
    assert (tmp_path / "query.csv").read_text().startswith("network,seed,valid_loss\nelman,0,")
    assert tools.faults(page) == []


def the_network_so_far(page: Page) -> None:
    """Its pictures are there while the run goes on, and the words say of which generation, later of a later one."""
    page.get_by_role("tab", name="Network").click()
    expect(page.locator("#run-network .js-plotly-plot").first).to_be_visible()
    expect(page.locator("#run-network")).to_contain_text("Eigenvalues")
    words = page.locator("#run-network-words")
    expect(words).to_contain_text("The best network so far: validation loss")
    expect(words).not_to_have_text(words.inner_text())
    assert tools.faults(page) == []


def the_searcher_grows(page: Page) -> None:
    """By what is new: the chart is not drawn again for each point."""
    page.get_by_role("tab", name="Searcher").click()
    expect(page.locator("#run-searcher .js-plotly-plot")).to_be_visible()
    points = "document.querySelector('#run-searcher .js-plotly-plot').data[0].x.length"
    page.wait_for_function(f"count => {points} > count", arg=page.evaluate(points))
    assert tools.faults(page) == []


@ON_A_PHONE
def test_a_finished_run_shows_its_network_and_gives_its_model(page: Page, server: Server, tmp_path: Path) -> None:
    tools.log_in(page, server, "run/1")
    expect(page.locator("#run-top .state-succeeded")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download model").click()
    taken.value.save_as(tmp_path / "model")
    from evornn.models.standalone import StandaloneModel

    assert len(StandaloneModel.load(tmp_path / "model").genome) > 0
    wait_for_ink(page, INK["light"])
    page.get_by_role("button", name="Light / dark").click()
    wait_for_ink(page, INK["dark"])
    page.get_by_role("tab", name="Searcher").click()
    expect(page.locator("#run-searcher")).to_contain_text("gradient norm")
    page.get_by_role("tab", name="Network").click()
    expect(page.locator("#run-network .js-plotly-plot").first).to_be_visible()
    expect(page.locator("#run-network")).to_contain_text("Eigenvalues")
    assert tools.faults(page) == []
    the_model_is_registered(page, server)


def the_model_is_registered(page: Page, server: Server) -> None:
    """From its run to a version of a model with an alias, and how to use it."""
    page.get_by_label("Name of the model").fill("waves")
    page.get_by_role("button", name="Register model").click()
    expect(page.get_by_text("run 1 is waves:1 now")).to_be_visible()
    page.goto(tools.address(server, "models"))
    page.get_by_role("link", name="waves:1").click()
    page.get_by_label("Alias").fill("production")
    page.get_by_role("button", name="Set alias").click()
    expect(page.locator("#model-aliases")).to_have_text("@production")
    expect(page.locator("main")).to_contain_text("evornn predict waves")
    assert tools.faults(page) == []
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    assert taken.value.suggested_filename == "waves-1.safetensors"


def test_a_model_is_evaluated_on_an_uploaded_file(page: Page, server: Server, tmp_path: Path) -> None:
    """What the page of the model shows is what the page of the command line has."""
    model, table = small_model("classify"), small_table(rows=90, groups=9)
    file, theirs = tmp_path / "kinds.csv", tmp_path / "theirs.html"
    file.write_text(csv_text(table, with_names=True))
    with library.connect(server.url, server.token) as results:
        results.service.register_model("kinds", model.to_bytes())
        tools.log_in(page, server, "models/kinds:1")
        expect(page.locator("main")).to_contain_text("The file doesn't say how good it was")
        page.get_by_role("button", name="Evaluate").click()
        expect(page.locator("#model-state")).to_contain_text("Choose a data set first")
        page.locator("#model-upload input").set_input_files(file)
        expect(page.locator("#model-data")).to_have_value(re.compile(r"kinds-\w{12}\.csv"))
        page.get_by_role("button", name="Evaluate").click()
        shown = page.locator("#model-report")
        expect(shown.locator(".js-plotly-plot")).to_have_count(4)
        report = model.report(table)
        expect(shown).to_contain_text("answers are right; the most frequent class alone would be right in")
        for title in ("Measures", "Worst examples", "What the model reads"):
            expect(shown).to_contain_text(title)
        said = [one.who for one in report.classes[0].worst]
        for word in (*said, *(f"{100 * one.increase:+.1f} %" for one in report.importance)):
            expect(shown).to_contain_text(word)
        assert tools.faults(page) == []
        with page.expect_download() as taken:
            page.get_by_role("link", name="Download the report").click()
        taken.value.save_as(theirs)
        own = page.locator("#model-data").input_value()
        renamed = file.rename(tmp_path / own)
        results.evaluate("kinds", renamed, report=tmp_path / "mine.html")
        assert theirs.read_text() == (tmp_path / "mine.html").read_text()


@ON_A_PHONE
def test_a_text_is_reported_on_and_continued(page: Page, server: Server, tmp_path: Path) -> None:
    model = text_model()
    file = tmp_path / "words.txt"
    file.write_text("abc cab\nabba <b>cab</b> " * 20)
    with library.connect(server.url, server.token) as results:
        results.service.register_model("words", model.to_bytes())
    tools.log_in(page, server, "models/words:1")
    page.get_by_label("Text that the model goes on from").fill("abc <i>")
    page.get_by_role("button", name="Continue").click()
    said = page.locator("#model-continued pre")
    expect(said).to_have_text("abc <i>" + model.generate("abc <i>", next=200, temperature=0.7), use_inner_text=False)
    page.locator("#model-upload input").set_input_files(file)
    expect(page.locator("#model-data")).to_have_value(re.compile(r"words-\w{12}\.txt"))
    page.get_by_role("button", name="Evaluate").click()
    shown = page.locator("#model-report")
    expect(shown).to_contain_text("bits per character (95 % interval")
    expect(shown.locator(".js-plotly-plot")).to_have_count(3)
    expect(shown).to_contain_text("What it did not expect")
    expect(shown).to_contain_text("<b>cab")
    assert tools.faults(page) == []


def wait_for_ink(page: Page, colour: str) -> None:
    """Until the learning curve's words have it: after a change of theme the server draws the chart again."""
    code = "colour => document.querySelector('#run-curve .js-plotly-plot')?._fullLayout?.font.color === colour"
    page.wait_for_function(code, arg=colour)


@ON_A_PHONE
def test_script_in_names_is_text(page: Page, server: Server) -> None:
    """The fixture fails the test when anything of it runs."""
    tools.log_in(page, server, "run/1")
    expect(page.locator("#run-top")).to_contain_text('<img src=x onerror=alert(1)> & "quoted"')
    page.goto(tools.address(server))
    expect(page.locator("#runs")).to_contain_text("<img src=x")
    page.get_by_role("textbox", name="Group by").click()
    page.get_by_role("option", name="task", exact=True).click()
    expect(page.locator("#runs-groups")).to_contain_text("<b>sines</b>")
    assert tools.faults(page) == []
    page.locator("#runs-groups a", has_text="<b>sines</b>").click()
    expect(page.locator("#runs-count")).to_contain_text("4 runs")
    page.goto(tools.address(server, "compare?job=1"))
    expect(page.locator("#compare-found h2").first).to_contain_text("<img src=x")


@ON_A_PHONE
def test_a_tuned_job_says_what_tuning_found_and_cost(page: Page, server: Server) -> None:
    """Tuned and untuned stand apart; a job without tuning has no word of it."""
    with library.connect(server.url, server.token) as results:
        job = results.tune(TUNED)
        comparison = results.compare(job)
        (found,), (task,) = comparison.tuned, comparison.tasks
    tools.log_in(page, server, f"compare?job={job}")
    trainers = page.locator("#compare-found table").first.locator("td:nth-child(2)")
    assert {cell.trainer for cell in task.cells} == {"<i>adam</i>", "<i>adam</i> (tuned)"}
    expect(trainers).to_have_text([cell.trainer for cell in by_result(task)])
    section = page.locator("#compare-tuning")
    expect(section.get_by_role("heading")).to_have_text("Tuning")
    expect(section.locator("td")).to_have_text([
        "<b>sines</b>", "elman", "<i>adam</i>", "4", "4", number(found.network_steps, 3), str(found.best),
        number(found.valid), settings(found),
    ])  # fmt: skip
    assert tools.faults(page) == []
    page.goto(tools.address(server, "compare?job=1"))
    expect(page.locator("#compare-found table").first).to_be_visible()
    expect(section).to_have_count(0)


@ON_A_PHONE
def test_the_form_says_what_is_wrong_and_where(page: Page, server: Server) -> None:
    tools.log_in(page, server, "submit")
    expect(page.locator("#submit-cost")).to_contain_text("runs")
    page.get_by_label("population", exact=True).fill("-3")
    page.keyboard.press("Tab")
    expect(page.locator(".mantine-TextInput-error")).to_contain_text("must be at least")
    expect(page.locator("#submit-go")).to_be_disabled()
    series = "time,load\n" + "".join(f"{k},{k % 7}\n" for k in range(50))
    file = {"name": "my load.csv", "mimeType": "text/csv", "buffer": series.encode()}
    page.locator("#submit-data input").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator("#submit-kept")).to_contain_text("my-load-")
    assert tools.faults(page) == []


def test_a_file_of_ones_own_becomes_a_spec(page: Page, server: Server) -> None:
    tools.log_in(page, server, "submit")
    rows = "".join(f"{k // 9},{k % 5},{'up' if k // 9 % 2 else 'down'}\n" for k in range(180))
    file = {
        "name": "moves.csv",
        "mimeType": "text/csv",
        "buffer": f"recording;x;move\n{rows}".replace(",", ";").encode(),
    }
    page.locator("#submit-data input").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator("#submit-doubts")).to_contain_text("does that tell the sequences apart?")
    assert tools.faults(page) == []
    page.get_by_label("group: recording").click()
    expect(page.locator("#submit-kept")).to_contain_text("20 of 9 rows, by recording")
    page.locator("#submit-target").click()
    page.get_by_role("option", name="move").click()
    expect(page.get_by_label("The spec to submit")).to_have_value(re.compile("kind: classify"))
    page.keyboard.press("Escape")
    expect(page.locator("#submit-go")).to_be_enabled()


def test_a_server_that_does_not_answer_is_told_of(opened: Browser, server: Server) -> None:
    context = opened.new_context(viewport=tools.DESKTOP)  # type: ignore[arg-type]
    page = context.new_page()
    tools.log_in(page, server, "cluster")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the page")).to_be_focused()
    expect(page.locator("#lost")).to_be_hidden()
    context.set_offline(True)
    expect(page.locator("#lost")).to_be_visible()
    context.set_offline(False)
    expect(page.locator("#lost")).to_be_hidden()
    context.clear_cookies(name="evornn")
    page.wait_for_url(re.compile("/ui/login"))
    context.close()


def test_theme_cluster_and_the_end_of_a_session(page: Page, server: Server) -> None:
    page.goto(tools.address(server, "cluster"))
    assert tools.faults(page) == []
    tools.log_in(page, server, "cluster")
    expect(page.locator("#cluster-now .state-alive")).to_be_visible()
    page.get_by_role("button", name="Light / dark").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    assert tools.faults(page) == []
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/ui/login"))
