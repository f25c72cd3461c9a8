"""A real Chromium and a real server for tests and pictures of the dashboard."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import Server

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
READY_MS = 60_000  # until something is there; a busy machine is no failure


def chromium() -> str:
    """The path of a Chromium, installed by the system's package manager where there is none and we may.

    Raises FileNotFoundError otherwise: a missing browser fails a test, never skips it.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        for command in (("update",), ("install", "-y", "--no-install-recommends", "chromium")):
            subprocess.run(["apt-get", "-q", *command], check=False, capture_output=True)
        found = shutil.which(NAMES[0])
    if found is None:
        raise FileNotFoundError("no Chromium on the PATH: install it, for example with `apt-get install chromium`")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    expect.set_options(timeout=READY_MS)
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium's own sandbox refuses to run as root
        opened = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield opened
        opened.close()


def address(server: Server, path: str = "") -> str:
    """Of a page of the dashboard."""
    return f"{server.url}/ui/{path}"


def log_in(page: Page, server: Server, path: str = "") -> None:
    """Through the form, and on to a page."""
    page.goto(address(server, path))
    page.get_by_label("Token").fill(server.token)
    page.get_by_role("button", name="Log in").click()
    page.locator("main h1").wait_for(timeout=READY_MS)


def faults(page: Page) -> list[str]:
    """What axe-core finds to be seriously wrong."""
    from axe_playwright_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
