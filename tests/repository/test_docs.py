"""What the documentation shows is true: examples run, commands and links exist."""

import ast
import doctest
import re
import shlex
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from threading import Event, Thread

import pytest
from serving import serving
from typer.core import TyperGroup
from typer.main import get_command

from evornn.cli.app import app
from evornn.experiments.spec import experiment, plan
from evornn.experiments.tuning.tunable_spec import tunable
from evornn.experiments.yaml import parse
from evornn.library import Silent, work
from evornn.store.store import open_store

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    found = []
    for folder, prefix in (("evornn", ""), ("workers", "evornn."), ("dashboards", "evornn.")):
        files = [path for path in sorted((ROOT / folder).rglob("*.py")) if ">>> " in path.read_text()]
        found += [prefix + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in found]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    fence = rf"^```{language}\b[^\n]*\n(.*?)^```$"
    return re.findall(fence, page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name), optionflags=FLAGS)
    assert result.attempted and not result.failed


@contextmanager
def served(folder, monkeypatch):
    """What docs/guides/api.md presupposes: a server, its token, and somebody who computes."""
    url, over = f"sqlite:///{folder}/evornn.db", Event()

    def dispatch():
        with open_store(url) as store:
            while not over.wait(0.1):
                for job in store.jobs(state="queued"):
                    work(store, job.id, 0, None, Silent())

    with serving(url) as server:
        monkeypatch.setenv("EVORNN_SERVER", server.url)
        monkeypatch.setenv("EVORNN_TOKEN", server.token)
        thread = Thread(target=dispatch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_pages(page, tmp_path, monkeypatch):
    """Blocks with `>>>` run one after the other, as a reader would; the others are Python at least."""
    monkeypatch.chdir(tmp_path)
    with served(tmp_path, monkeypatch) if page.name == "api.md" else nullcontext():
        _run_examples(page)


def _run_examples(page):
    examples = [block for block in blocks(page, "python") if ">>> " in block]
    for block in blocks(page, "python"):
        if block not in examples:
            ast.parse(block)
    test = doctest.DocTestParser().get_doctest("\n\n".join(examples), {}, page.name, str(page), 0)
    assert not doctest.DocTestRunner(optionflags=FLAGS).run(test).failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {t for block in blocks(page, "console") for t in re.findall(r"^\$ make ([a-z]+)", block, re.MULTILINE)}
    assert named | set(re.findall(r"`make ([a-z]+)`", page.read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def commands(page):
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ evornn ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_are_understood(page):
    for words in commands(page):
        group = get_command(app)
        while isinstance(group, TyperGroup):
            name, group, words = group.resolve_command(
                group.make_context("evornn", [words[0]], resilient_parsing=True), words
            )
        group.make_context(name, list(words))  # raises UsageError


def test_every_command_is_shown_somewhere():
    shown = {words[0] for page in PAGES for words in commands(page)}
    assert shown >= set(get_command(app).commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_specs_in_pages_are_valid(page):
    for block in blocks(page, "yaml"):
        if block.startswith("name:"):  # a whole spec, not a fragment of one
            spec = parse(block)
            assert tunable(spec).tuned if "tuning" in spec else plan(experiment(spec))


def test_readme_shows_a_whole_spec():
    assert any(block.startswith("name:") for block in blocks(ROOT / "README.md", "yaml"))
