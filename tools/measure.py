"""The measures of the house: size, names, comments, circles and documents of a checkout, and of another one beside it.

    python -m tools.measure [CHECKOUT] [--against CHECKOUT] [--lists] [--json]

All but one are read from the source alone. For the way of a genome (`tools.question`) a process with the checkout's own
code trains for some generations, in the environment of this one.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import subprocess
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from tools.imports import Moment, circles, graph

HERE = Path(__file__).resolve().parents[1]
PACKAGE = ("evornn", "workers", "dashboards")  # the last two are links in evornn/
LONG = 40  # lines of a function that is long

Function = ast.FunctionDef | ast.AsyncFunctionDef
Value = int | float | list[str] | None  # a list counts as the number of its items; None: could not be measured
Measures = dict[str, Value]

# Functions that may be called by a participle all the same, each with its reason. The one list that there is.
EXCEPTIONS = {
    "construct_mapping": "overrides a method of PyYAML",
    "connection_lost": "overrides a method of asyncio's Protocol",
    "connection_made": "overrides a method of asyncio's Protocol",
    "data_received": "overrides a method of asyncio's Protocol",
    "missing": "missing values, as pandas and scikit-learn say",
    "fill_missing": "missing values, as pandas and scikit-learn say",
    "find_encoding": "an encoding is a noun",
    "read_recording": "a recording is a noun",
    "elapsed": "a duration, like that of timers everywhere",
    "pause_writing": "overrides a method of asyncio's Protocol",
    "resume_writing": "overrides a method of asyncio's Protocol",
}
# Words that end like a participle and are none: nouns and verbs, also those of the field (padding, scaling, tuning).
PLAIN_WORDS = """
bed breed bring ceiling deed during embed evening everything exceed feed forcing heading hundred indeed king listing
morning need nothing offspring padding proceed ranking red ring scaling seed shed sibling sing something speed spring
string succeed swing thing tuning weed weighting wing
"""
# Participles without -ed. Left out are those that are verbs or nouns as well: bound, cast, come, cut, hit, left, put,
# read, run, set, shut, split, spread, thought, wound.
IRREGULAR = """
begun bent blown born borne bought bred broken brought built caught chosen dealt done drawn driven eaten fallen fed felt
flown forbidden forgotten found frozen given gone grown heard held hidden hung kept known laid led lent lit lost made
meant met paid proven ridden risen said seen sent shaken shot shown shrunk slept sold sought spent spoken spun stolen
stood struck stuck sunk swept sworn taken taught thrown told torn understood woken won worn woven written
"""
PREFIXES = ("", "fore", "mis", "out", "over", "re", "un", "under", "up", "with")
PREDICATES = ("is", "has", "are", "was", "were")  # is_closed asks, closed doesn't


# ---- source ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Definition:
    """A class or a function and what it lies in."""

    node: Function | ast.ClassDef
    path: str
    parents: tuple[ast.AST, ...]  # classes and functions around it, from the outermost

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_method(self) -> bool:
        return bool(self.parents) and isinstance(self.parents[-1], ast.ClassDef) and not self.is_class

    @property
    def is_public(self) -> bool:
        """Whether no name on the way to it begins with an underscore, and it isn't inside of a function."""
        classes = [parent for parent in self.parents if isinstance(parent, ast.ClassDef)]
        names = [self.name, *(parent.name for parent in classes)]
        return len(classes) == len(self.parents) and not any(name.startswith("_") for name in names)

    @property
    def qualified_name(self) -> str:
        names = [parent.name for parent in self.parents if isinstance(parent, ast.ClassDef | Function)]
        return ".".join([*names, self.name])

    @property
    def lines(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def arguments(self) -> list[str]:
        """Names of a function's arguments, without the self or cls of a method."""
        if isinstance(self.node, ast.ClassDef):
            return []
        given = self.node.args
        places = [argument.arg for argument in (*given.posonlyargs, *given.args)]
        static = any(ast.unparse(decorator) == "staticmethod" for decorator in self.node.decorator_list)
        rest = [given.vararg, *given.kwonlyargs, given.kwarg]
        return places[self.is_method and not static :] + [argument.arg for argument in rest if argument is not None]

    def __str__(self) -> str:
        return f"{self.path}:{self.node.lineno} {self.qualified_name}"


@dataclass(frozen=True)
class Source:
    """A file of Python."""

    path: str  # in its checkout
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def definitions(self) -> list[Definition]:
        """All classes and functions, at any depth."""
        return list(definitions(self.tree, self.path))

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def module(self) -> str:
        """Its dotted name."""
        parts = Path(self.path).with_suffix("").parts
        parts = parts if parts[0] == "evornn" else ("evornn", *parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def definitions(node: ast.AST, path: str, parents: tuple[ast.AST, ...] = ()) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            yield Definition(child, path, parents)
            yield from definitions(child, path, (*parents, child))
        else:
            yield from definitions(child, path, parents)


def sources(checkout: Path, folders: Iterable[str]) -> list[Source]:
    """The files of Python in these folders of a checkout, of which links are not followed."""
    paths = sorted(path for folder in folders for path in python_files(checkout / folder))
    return [Source(path.relative_to(checkout).as_posix(), path.read_text()) for path in paths]


def python_files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names if name.endswith(".py"))


# ---- measures of one source -----------------------------------------------------------------------------------------


def code_lines(source: Source) -> int:
    """Lines that are not blank and hold more than a comment or a part of a docstring."""
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in source.tokens:
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(source))


def docstring_lines(source: Source) -> set[int]:
    lines: set[int] = set()
    for node in (source.tree, *(definition.node for definition in source.definitions)):
        if ast.get_docstring(node, clean=False) is not None:
            lines.update(range(node.body[0].lineno, (node.body[0].end_lineno or node.body[0].lineno) + 1))
    return lines


def own_line_comments(source: Source) -> int:
    """Comments that have a line of their own."""
    return sum(
        token.type == tokenize.COMMENT and token.line.lstrip().startswith("#") and not token.string.startswith("#!")
        for token in source.tokens
    )


def bindings(source: Source, name: str) -> int:
    """How often functions bind a local of this name, arguments included."""
    functions = (definition.node for definition in source.definitions if not definition.is_class)
    nodes = {id(node): node for function in functions for node in ast.walk(function)}
    return sum(
        (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == name)
        for node in nodes.values()
    )


def is_participle(name: str) -> bool:
    """Whether a function's name is a participle or ends with one. A predicate such as is_closed may end with one, and a
    noun may have one before it: masked_targets says what it is, padded does not."""
    words = name.strip("_").split("_")
    if words[0] in PREDICATES or (name.startswith("__") and name.endswith("__")):
        return False
    return is_participle_word(words[-1])


def is_participle_word(word: str) -> bool:
    if word in PLAIN_WORDS.split():
        return False
    stems = {word.removeprefix(prefix) for prefix in PREFIXES}
    return word.endswith(("ed", "ing")) or not stems.isdisjoint(IRREGULAR.split())


# ---- measures of many -----------------------------------------------------------------------------------------------


def functions_of(package: Iterable[Source]) -> list[Definition]:
    return [definition for source in package for definition in source.definitions if not definition.is_class]


def classes_of(package: Iterable[Source]) -> list[Definition]:
    return [definition for source in package for definition in source.definitions if definition.is_class]


def duplicate_classes(package: Iterable[Source]) -> list[str]:
    """Names that two or more classes have, each with the places."""
    places: dict[str, list[str]] = defaultdict(list)
    for definition in classes_of(package):
        places[definition.name].append(f"{definition.path}:{definition.node.lineno}")
    return [f"{name}: {', '.join(places[name])}" for name in sorted(places) if len(places[name]) > 1]


def duplicate_files(package: Iterable[Source]) -> list[str]:
    """File names that recur, but for __init__.py, each with the folders."""
    folders: dict[str, list[str]] = defaultdict(list)
    for source in package:
        path = Path(source.path)
        folders[path.name].append(path.parent.as_posix())
    recurring = sorted(name for name, places in folders.items() if len(places) > 1 and name != "__init__.py")
    return [f"{name}: {', '.join(folders[name])}" for name in recurring]


def participles(package: Iterable[Source], exceptions: Mapping[str, str] = EXCEPTIONS) -> list[Definition]:
    """Functions and methods that are called by a participle and are no exceptions."""
    return [
        definition
        for definition in functions_of(package)
        if is_participle(definition.name) and definition.name not in exceptions
    ]


def public_participles(package: Iterable[Source], exceptions: Mapping[str, str] = EXCEPTIONS) -> list[Definition]:
    return [definition for definition in participles(package, exceptions) if definition.is_public]


def import_circles(package: Iterable[Source], until: Moment) -> list[str]:
    """The circles of modules, of imports at `until` or earlier."""
    package = list(package)
    modules = {source.module: source.tree for source in package}
    packages = [source.module for source in package if Path(source.path).name == "__init__.py"]
    return [" ↔ ".join(circle) for circle in circles(graph(modules, packages, until))]


def share(parts: Iterable[bool]) -> float | None:
    """Share of those that are true; None of nothing."""
    values = list(parts)
    return sum(values) / len(values) if values else None


def dependencies(checkout: Path) -> list[str]:
    """What `pip install evornn` asks for, without extras."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    return list(project.get("dependencies", []))


# ---- the measures ---------------------------------------------------------------------------------------------------


def measure(checkout: Path) -> Measures:
    """All measures of a checkout, in the order of the table."""
    package, tests = sources(checkout, PACKAGE), sources(checkout, ["tests"])
    return {
        **sizes(package, tests),
        **function_measures(package),
        **comment_measures(package),
        **name_measures(package),
        **circle_measures(package),
        **docstring_measures(package),
        "core dependencies": dependencies(checkout),
        **question_measures(checkout),
    }


def sizes(package: Sequence[Source], tests: Sequence[Source]) -> Measures:
    return {
        "package files": len(package),
        "package lines": sum(source.lines for source in package),
        "package lines of code": sum(map(code_lines, package)),
        "test files": len(tests),
        "test lines": sum(source.lines for source in tests),
    }


def function_measures(package: Sequence[Source]) -> Measures:
    functions = functions_of(package)
    lengths = [definition.lines for definition in functions]
    long = sorted((definition for definition in functions if definition.lines > LONG), key=lambda d: -d.lines)
    return {
        "functions and methods": len(functions),
        "median function lines": median(lengths) if lengths else None,
        "longest function lines": max(lengths, default=None),
        f"functions above {LONG} lines": [f"{definition.lines} {definition}" for definition in long],
    }


def comment_measures(package: Sequence[Source]) -> Measures:
    comments, lines = sum(map(own_line_comments, package)), sum(source.lines for source in package)
    return {"own-line comments": comments, "own-line comments, % of lines": 100 * comments / lines if lines else None}


def name_measures(package: Sequence[Source]) -> Measures:
    return {
        "class names of several classes": duplicate_classes(package),
        "file names of several files": duplicate_files(package),
        "functions named by participles": list(map(str, participles(package))),
        "public functions named by participles": list(map(str, public_participles(package))),
        "locals named found": sum(bindings(source, "found") for source in package),
    }


def circle_measures(package: Sequence[Source]) -> Measures:
    return {
        "import circles when loaded": import_circles(package, Moment.LOAD),
        "import circles, TYPE_CHECKING too": import_circles(package, Moment.TYPING),
        "import circles, functions too": import_circles(package, Moment.CALL),
    }


def docstring_measures(package: Sequence[Source]) -> Measures:
    classes = [definition for definition in classes_of(package) if definition.is_public]
    functions = [definition for definition in functions_of(package) if definition.is_public]
    wide = [definition for definition in functions if len(definition.arguments) > 2]
    shares = {
        "public classes with docstring, %": share(bool(definition.docstring) for definition in classes),
        "public functions with docstring, %": share(bool(definition.docstring) for definition in functions),
        "… of those with over 2 arguments, %": share(bool(definition.docstring) for definition in wide),
        "… that say Args, %": share("Args:" in definition.docstring for definition in wide),
    }
    return {name: None if value is None else 100 * value for name, value in shares.items()}


def question_measures(checkout: Path) -> Measures:
    """The way of a genome, for each trainer that `tools.question` trains with."""
    labels = {
        "calls": "calls of a generation",
        "files": "files of a generation",
        "question_calls": "calls of its question to the oracle",
        "question_files": "files of its question to the oracle",
        "frames": "frames from step to kernel",
    }
    result = question(checkout)
    return {
        f"{trainer}: {label}": result.get(trainer, {}).get(key)
        for trainer in ("cma_es", "snes")
        for key, label in labels.items()
    }


def question(checkout: Path) -> dict[str, dict[str, int]]:
    """What `tools.question` says of a checkout; nothing, and why on stderr, where it fails."""
    command = [sys.executable, "-P", str(HERE / "tools" / "question.py")]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    answer = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True)
    if answer.returncode:
        print(f"{checkout}: the way of a genome can't be measured:\n{answer.stderr}", file=sys.stderr)
        return {}
    result: dict[str, dict[str, int]] = json.loads(answer.stdout.splitlines()[-1])
    package = Path(str(result.pop("package")))
    if package.resolve() != (checkout / "evornn").resolve():
        print(f"{checkout}: the probe imports evornn from {package}", file=sys.stderr)
        return {}
    return result


# ---- output ---------------------------------------------------------------------------------------------------------


def cell(value: Value) -> str:
    if isinstance(value, list):
        return str(len(value))
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def table(columns: Mapping[str, Measures]) -> Iterator[str]:
    """One line per measure, one column per checkout."""
    names = list(dict.fromkeys(name for measures in columns.values() for name in measures))
    rows = [["", *columns], *([name, *(cell(m.get(name)) for m in columns.values())] for name in names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for label, *values in rows:
        cells = (value.rjust(width) for value, width in zip(values, widths[1:], strict=True))
        yield "  ".join([label.ljust(widths[0]), *cells])


def lists(measures: Measures) -> Iterator[str]:
    """What the measures that are lists hold."""
    for name, value in measures.items():
        if isinstance(value, list) and value:
            yield from ("", f"{name}:", *(f"  {item}" for item in value))


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.measure", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", nargs="?", default=HERE, type=folder, metavar="CHECKOUT", help="default: this one")
    parser.add_argument("--against", type=folder, metavar="CHECKOUT", help="what was before, shown beside")
    parser.add_argument("--lists", action="store_true", help="also what has been counted: names, files, circles")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    return parser.parse_args(words)


def folder(text: str) -> Path:
    """A checkout of evornn."""
    path = Path(text).resolve()
    if not (path / "evornn" / "__init__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no checkout of evornn: give the folder in which evornn/ lies")
    return path


def main(words: Sequence[str] | None = None) -> int:
    options = parse_arguments(words)
    places = {"before": options.against, "after": options.checkout} if options.against else {"now": options.checkout}
    columns = {name: measure(place) for name, place in places.items()}
    if options.json:
        result = {name: {"checkout": str(place), "measures": columns[name]} for name, place in places.items()}
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print("\n".join([*table(columns), *(lists(list(columns.values())[-1]) if options.lists else ())]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
