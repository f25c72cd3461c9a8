"""The measures of `tools.measure` on small sources, and the house's contract: what the package's names and imports keep
to."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

from tools import measure as m
from tools.imports import Moment, circles, graph
from tools.question import Generation, Recorder


def source(text: str, path: str = "evornn/some.py") -> m.Source:
    return m.Source(path, dedent(text).lstrip("\n"))


def names(definitions: list[m.Definition]) -> list[str]:
    return [definition.qualified_name for definition in definitions]


# ---- lines ----------------------------------------------------------------------------------------------------------

LINES = source(
    '''
    #!/usr/bin/env python
    """A module."""

    # a comment of its own
    text = """one

    two"""  # a trailing one


    def f():
        """Two
        lines."""
        # another
        return "# none"
    '''
)


def test_lines_with_and_without_blanks_comments_and_docstrings() -> None:
    assert LINES.lines == 14
    assert m.code_lines(LINES) == 5  # the three of the text, def, return
    assert m.own_line_comments(LINES) == 2


def test_comments_as_a_share_of_lines() -> None:
    assert m.comment_measures([LINES]) == {
        "own-line comments": 2,
        "own-line comments, % of lines": pytest.approx(100 * 2 / 14),
    }
    assert m.comment_measures([])["own-line comments, % of lines"] is None


# ---- definitions ----------------------------------------------------------------------------------------------------

DEFINITIONS = source(
    '''
    class Public:
        """One."""

        def method(self, one, two, *, three):
            """Args: they are not named in a list."""

        @staticmethod
        def static(one, two):
            def inner(a, b, c): ...

        def _private(self): ...

        class _Hidden:
            def within(self): ...


    async def wide(a, /, b, *c, **d):
        """Wide.

        Args:
            a: the first
        """
    '''
)


def test_what_is_public_and_how_many_arguments_it_has() -> None:
    functions = m.functions_of([DEFINITIONS])
    assert len(functions) == 6 and names(m.classes_of([DEFINITIONS])) == ["Public", "Public._Hidden"]
    public = {definition.qualified_name: len(definition.arguments) for definition in functions if definition.is_public}
    assert public == {"Public.method": 3, "Public.static": 2, "wide": 4}


def test_docstrings_of_what_is_public() -> None:
    assert list(m.docstring_measures([DEFINITIONS]).values()) == [100, pytest.approx(200 / 3), 100, 100]
    assert set(m.docstring_measures([]).values()) == {None}


def test_lengths_of_functions() -> None:
    long = "def long():\n" + "    pass\n" * m.LONG
    measures = m.function_measures([source(long), source("def short(): ...\ndef other(): ...\n", "workers/b.py")])
    assert measures == {
        "functions and methods": 3,
        "median function lines": 1,
        "longest function lines": m.LONG + 1,
        f"functions above {m.LONG} lines": [f"{m.LONG + 1} evornn/some.py:1 long"],
    }


def test_names_that_recur() -> None:
    package = [
        source("class A: ...\nclass B:\n    class C: ...\n", "evornn/one/same.py"),
        source("class C: ...\nclass D: ...\n", "workers/same.py"),
        *(source("", f"evornn/{folder}/__init__.py") for folder in ("one", "two")),
    ]
    assert m.duplicate_classes(package) == ["C: evornn/one/same.py:3, workers/same.py:1"]
    assert m.duplicate_files(package) == ["same.py: evornn/one, workers"]


def test_locals_of_a_name() -> None:
    text = """
    found = 0
    def f(found):
        found += 1
        def g():
            if (found := 2) and [found for found in ()]:
                return found
    """
    assert m.bindings(source(text), "found") == 4


# ---- participles ----------------------------------------------------------------------------------------------------

PARTICIPLES = "asked _told store_given training rebuilt unknown _parts_built"
OTHERS = "ask drawn_network need_all random_seed to_string read_file is_closed has_ended __told__"


@pytest.mark.parametrize("name", PARTICIPLES.split())
def test_participles(name: str) -> None:
    assert m.is_participle(name)


@pytest.mark.parametrize("name", OTHERS.split())
def test_other_names(name: str) -> None:
    assert not m.is_participle(name)


def test_functions_named_by_participles() -> None:
    package = [source("class A:\n    def told(self): ...\n    def _drawn(self): ...\ndef closed(): ...\n")]
    exceptions = {"closed": "a reason"}
    assert names(m.participles(package, exceptions)) == ["A.told", "A._drawn"]
    assert names(m.public_participles(package, exceptions)) == ["A.told"]


# ---- imports --------------------------------------------------------------------------------------------------------

MODULES = {
    "p": "from p.a import x",
    "p.a": "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import y\n",
    "p.b": "from p import a\ntry:\n    import p.q.c\nexcept ImportError: ...\n",
    "p.q": "from . import c, other",
    "p.q.c": "def f():\n    from ..b import y\n",
}


@pytest.mark.parametrize(
    ("until", "more"),
    [
        (Moment.LOAD, {}),
        (Moment.TYPING, {"p.a": {"p.b"}}),
        (Moment.CALL, {"p.a": {"p.b"}, "p.q.c": {"p.b"}}),
    ],
)
def test_imports_of_modules(until: Moment, more: dict[str, set[str]]) -> None:
    edges = graph({name: ast.parse(text) for name, text in MODULES.items()}, ["p", "p.q"], until)
    assert edges == {"p": {"p.a"}, "p.a": set(), "p.b": {"p.a", "p.q.c"}, "p.q": {"p.q.c"}, "p.q.c": set()} | more


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"a": "bc", "b": "c", "c": ""}, []),
        ({"a": "b", "b": "c", "c": "a", "d": "ae", "e": "d", "f": "f"}, ["abc", "de"]),
        ({"a": "b", "b": "ac", "c": "b", "d": "c"}, ["abc"]),
    ],
)
def test_circles(edges: dict[str, str], expected: list[str]) -> None:
    assert circles(edges) == [list(text) for text in expected]


def test_a_long_chain_is_no_circle() -> None:
    chain = [str(number) for number in range(5000)]
    edges = {name: [after] for name, after in pairwise(chain)} | {chain[-1]: []}
    assert circles(edges) == []
    assert circles({**edges, chain[-1]: chain[:1]}) == [sorted(chain)]


def test_import_circles_name_the_modules_by_their_links() -> None:
    package = [
        source("import evornn.workers.b", "evornn/a.py"),
        source("from evornn import a", "workers/b.py"),
        *(source("", f"{folder}/__init__.py") for folder in ("evornn", "workers")),
    ]
    assert m.import_circles(package, Moment.LOAD) == ["evornn.a ↔ evornn.workers.b"]


# ---- the way of a genome --------------------------------------------------------------------------------------------

ROOMS = {
    "training/loop.py": "def run(step, oracle):\n    for _ in range(3):\n        step(oracle)\n",
    "trainers/search.py": "def step(oracle):\n    oracle(0)\n    return [helper() for _ in 'ab'], oracle(1)\n"
    "def helper(): ...\n",
    "training/oracle.py": "def oracle(genome):\n    return kernel() if genome else None\n",
    "kernels/kernel.py": "def kernel():\n    return abs(-1)\n",
}


def test_calls_of_a_generation(tmp_path: Path) -> None:
    scope: dict[str, Callable[..., object]] = {}
    for name, text in ROOMS.items():
        exec(compile(text, str(tmp_path / name), "exec"), scope)
    recorder = Recorder(tmp_path)
    generations = recorder.record(lambda: scope["run"](scope["step"], scope["oracle"]))
    assert [generation.summary() for generation in generations] == 3 * [
        {"calls": 6, "files": 3, "question_calls": 2, "question_files": 2, "frames": 3}
    ]
    assert [call.name for call in generations[0].calls] == ["step", "oracle", "helper", "helper", "oracle", "kernel"]
    assert recorder.stack == [] and not Generation().is_computed


@pytest.mark.slow  # a process of its own
def test_the_way_of_a_genome_is_measured_in_this_checkout() -> None:
    measures = m.question_measures(m.HERE)
    assert len(measures) == 10
    assert [name for name, value in measures.items() if not (isinstance(value, int) and value > 1)] == []


# ---- output ---------------------------------------------------------------------------------------------------------


def checkout(folder: Path, text: str) -> Path:
    for name in ("evornn", "workers", "tests"):
        (folder / name).mkdir(parents=True)
    (folder / "evornn" / "__init__.py").write_text(text)
    (folder / "evornn" / "workers").symlink_to("../workers")
    (folder / "workers" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text('[project]\ndependencies = ["numpy"]\n')
    return folder


def test_two_checkouts_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = checkout(tmp_path / "old", "def told(): ...\n"), checkout(tmp_path / "new", "def tell(): ...\n")
    assert m.main([str(new), "--against", str(old), "--lists"]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.partition("\n\n")[0].splitlines()]
    cells = {" ".join(words[:-2]): words[-2:] for words in rows}
    assert cells[""] == ["before", "after"]
    assert cells["package files"] == ["2", "2"]
    assert cells["public functions named by participles"] == ["1", "0"]
    assert cells["cma_es: calls of a generation"] == ["–", "–"] and "can't be measured" in shown.err
    assert shown.out.endswith("\n\ncore dependencies:\n  numpy\n")


def test_measures_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = checkout(tmp_path, "def told(): ...\n")
    assert m.main([str(place), "--json"]) == 0
    now = json.loads(capsys.readouterr().out)["now"]
    assert now["checkout"] == str(place)
    assert now["measures"]["functions named by participles"] == ["evornn/__init__.py:1 told"]


def test_what_is_no_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        m.main([str(tmp_path)])
    assert "is no checkout of evornn" in capsys.readouterr().err


# ---- the house's contract -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package() -> list[m.Source]:
    return m.sources(m.HERE, m.PACKAGE)


def check_none(offenders: list[str], rule: str) -> None:
    """Fails with one offender a line."""
    if offenders:
        pytest.fail(f"{rule} ({len(offenders)}):\n" + "\n".join(offenders), pytrace=False)


def test_one_class_name_has_one_meaning(package: list[m.Source]) -> None:
    check_none(m.duplicate_classes(package), "class names that several classes have")


def test_no_modules_import_each_other(package: list[m.Source]) -> None:
    """Imports under TYPE_CHECKING count; those in functions don't."""
    check_none(m.import_circles(package, Moment.TYPING), "circles of imports")


def test_public_functions_are_not_named_by_participles(package: list[m.Source]) -> None:
    rule = "participles: use a noun for a value, a verb for an effect, or give a reason in tools.measure.EXCEPTIONS"
    check_none([str(definition) for definition in m.public_participles(package)], rule)


def test_every_exception_has_a_reason_and_is_needed(package: list[m.Source]) -> None:
    needed = {definition.name for definition in m.participles(package, {})}
    check_none(sorted(m.EXCEPTIONS.keys() - needed), "exceptions in tools.measure.EXCEPTIONS of no function")
    check_none([name for name, reason in m.EXCEPTIONS.items() if not reason.strip()], "exceptions without a reason")
