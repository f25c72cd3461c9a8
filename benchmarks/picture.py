"""A figure as a PNG, by a Chromium on the PATH."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def save(figure: Figure, path: Path, width: int = 800, height: int = 420) -> None:
    """Light, on white. Raises FileNotFoundError without a Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("pictures are drawn by Chromium: install it (Debian's package chromium)")
    figure.update_layout(width=width, height=height, paper_bgcolor="white")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width + 20, "height": height + 20})
        page.set_content(figure.to_html(include_plotlyjs="inline"))
        page.locator(".main-svg").first.wait_for()
        page.locator(".plot-container").screenshot(path=path)
        browser.close()
