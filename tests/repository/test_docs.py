"""What the documentation shows is true: examples run, commands and links exist."""

import ast
import doctest
import os
import pydoc
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml
from contributing import ADDED
from serving import serving
from typer.core import TyperGroup
from typer.main import get_command

import evornn
from evornn.cli.app import app
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.tuning.tunable_spec import parse_tunable_spec
from evornn.experiments.yaml import parse
from evornn.library import SilentListener, work
from evornn.store.store import open_store

ROOT = Path(__file__).parents[2]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


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
                    work(store, job.id, 0, None, SilentListener())

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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {t for block in blocks(page, "console") for t in re.findall(r"^\$ make ([a-z]+)", block, re.MULTILINE)}
    assert named | set(re.findall(r"`make ([a-z]+)`", page.read_text())) <= targets


def anchors(page: Path) -> set[str]:
    """Those of its headings, as GitHub and the site (pymdownx.slugs) make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", title) for title in re.findall(r"^#+ +(.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def links(page: Path) -> list[tuple[str, str]]:
    """The file and the anchor of each link within the repository; either may be empty."""
    found = re.findall(r"\]\(\s*([^)\s]+)\s*\)", page.read_text())
    return [link.partition("#")[::2] for link in found if not re.match(r"\w+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    targets = [(page.parent / file if file else page, anchor) for file, anchor in links(page)]
    assert [str(file) for file, _ in targets if not file.exists()] == []
    assert [f"{file}#{anchor}" for file, anchor in targets if anchor and anchor not in anchors(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_are_named_exist(page):
    """`evornn/trainers/snes.py` in backquotes, from the root or from evornn/."""
    places = re.findall(r"`([\w.-]+/[\w./-]+\.(?:py|ya?ml|md|sh|css))`", page.read_text())
    made_up = {f"evornn/{name}.py" for name in ADDED}
    assert [p for p in places if p not in made_up and not any((r / p).exists() for r in (ROOT, ROOT / "evornn"))] == []


def commands(page):
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ evornn ")]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_specs_in_pages_are_valid(page):
    for block in blocks(page, "yaml"):
        if block.startswith("name:"):  # a whole spec, not a fragment of one
            spec = parse(block)
            assert parse_tunable_spec(spec).tunable_methods if "tuning" in spec else plan(parse_spec(spec))


def test_readme_shows_a_whole_spec():
    assert any(block.startswith("name:") for block in blocks(ROOT / "README.md", "yaml"))


def test_the_python_reference_names_what_exists():
    names = [n for page in PAGES for n in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
    assert names and [name for name in names if pydoc.locate(name) is None] == []


def test_the_python_reference_has_all_that_is_public():
    page = (ROOT / "docs" / "reference" / "python" / "evornn.md").read_text()
    assert [name for name in evornn.__all__ if f"[`evornn.{name}`]" not in page] == []


def test_the_citation_is_valid_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    check = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.citation-file-format", ROOT / "CITATION.cff"]
    subprocess.run([check, *schema], check=True, capture_output=True)


@pytest.mark.slow
def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    """What `make docs` does; strict, so that a broken link or a name that is no longer there fails."""
    build = [Path(sys.executable).with_name("mkdocs"), "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES) - len(TOP)
    loaded = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//", re.IGNORECASE)
    assert [str(page) for page in pages if loaded.search(page.read_text())] == []
