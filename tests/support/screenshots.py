"""Pictures of every page of the dashboard into a folder: light, dark, and as wide as a phone.

    python tests/support/screenshots.py docs/guides/dashboard [PAGE ...]

They are taken of a real server over an experiment that is really computed, which takes about a minute.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import browser as tools
from playwright.sync_api import Browser, Page
from serving import Server, serving, working

from evornn import library
from evornn.service.service import submit
from evornn.store.store import open_store

TRAINERS = [{"kind": "adam"}, {"kind": "cma_es", "population": 16}, {"kind": "genetic_algorithm"}]
ENDED: dict[str, Any] = {
    "name": "sunspots", "tasks": [{"kind": "sunspots"}],
    "networks": [{"kind": "lstm", "units": 6}, {"kind": "elman", "units": 8}], "trainers": TRAINERS,
    "seeds": 3, "budget": {"steps": 600_000, "marks": 40},
}  # fmt: skip
GOING: dict[str, Any] = {
    "name": "two sines", "tasks": [{"kind": "sines"}], "networks": [{"kind": "lstm", "units": 16}],
    "trainers": [{"kind": "snes", "population": 64}], "seeds": 3, "budget": {"steps": 1_000_000_000, "marks": 200},
}  # fmt: skip
RATE = {"from": 0.0001, "to": 0.1, "scale": "log"}
TUNED: dict[str, Any] = {
    "name": "sunspots, tuned", "tasks": [{"kind": "sunspots"}], "networks": [{"kind": "lstm", "units": 6}],
    "trainers": [
        {"kind": "adam", "learning_rate": RATE, "batch": {"choose": [16, 32, 64]}},
        {"kind": "cma_es", "population": {"from": 8, "to": 32, "scale": "log"}, "sigma": {"from": 0.05, "to": 1.0}},
    ],
    "seeds": 3, "budget": {"steps": 300_000, "marks": 20}, "tuning": {"trials": 6, "budget": {"steps": 200_000}},
}  # fmt: skip
WAITS = {  # page → address, what must be there before the picture is taken
    "runs": ("", "#runs .ag-cell a"),
    "run": ("run/19", "#run-curve .js-plotly-plot .scatterlayer .trace path"),
    "searcher": ("run/19", "#run-searcher .js-plotly-plot"),
    "network": ("run/1", "#run-network .js-plotly-plot"),
    "compare": ("compare?job=1", "#compare-found .js-plotly-plot"),
    "tuning": ("compare?job=5", "#compare-found figure:last-child .js-plotly-plot"),
    "submit": ("submit", "#submit-cost dl"),
    "query": ("query", "#query-chart .js-plotly-plot"),
    "cluster": ("cluster", "#cluster-now .state"),
    "login": ("login", "form"),
}
LOOKS = {"light": ("light", tools.DESKTOP), "dark": ("dark", tools.DESKTOP), "phone": ("light", tools.PHONE)}


def main(folder: Path, pages: Sequence[str]) -> None:
    """Take them, of these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/evornn.db"
        with open_store(url) as store:
            job = submit(store, ENDED)
            submit(store, GOING)
            if "tuning" in pages:
                library.tune(TUNED, url, workers=0).close()
            with working(url), serving(url, "--data", place) as server, tools.browser() as browser:
                store_ended(url, job)
                for look in LOOKS:
                    take(browser, server, folder, look, pages)


def store_ended(url: str, job: int) -> None:
    """Wait until a job has ended."""
    with open_store(url) as store:
        while store.job(job).finished is None or not store.curve(19)[5:]:
            time.sleep(1)


def take(browser: Browser, server: Server, folder: Path, look: str, pages: Sequence[str]) -> None:
    """Pages in one look."""
    theme, size = LOOKS[look]
    context = browser.new_context(viewport=size, color_scheme=theme, device_scale_factor=1)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(60_000)
    tools.log_in(page, server)
    for name in pages:
        path, awaited = WAITS[name]
        if name == "login":
            context.clear_cookies(name="evornn")
        page.goto(tools.address(server, path))
        prepare(page, name)
        page.wait_for_selector(awaited)
        page.wait_for_timeout(1500)  # charts and grids come to rest
        page.screenshot(path=folder / f"{name}-{look}.png", full_page=True, animations="disabled")
        print(folder / f"{name}-{look}.png")
    context.close()


def prepare(page: Page, name: str) -> None:
    """What somebody would do first."""
    if name in ("searcher", "network"):
        page.get_by_role("tab", name=name.capitalize()).click()
    if name == "query":
        page.get_by_label("SQL").fill(
            "SELECT run, network, trainer, network_steps, champion_valid\nFROM learning_curves WHERE job = 1 "
            "ORDER BY run, mark"
        )
        page.get_by_role("button", name="Run", exact=True).click()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/guides/dashboard"), sys.argv[2:] or list(WAITS))
