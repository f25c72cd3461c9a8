"""evornn as if nothing but its core were installed: `python core_only.py < cases.json` hides every distribution that
the core does not ask for, directly or indirectly, and answers what each case printed.

A case is a list, the words of a command, or a text, Python code. All of them run in this one process, because importing
evornn takes seconds. For each the answer has the exit status (None: a traceback) and what went to stdout and stderr.
"""

from __future__ import annotations

import io
import json
import sys
import sysconfig
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


SITE_PACKAGES = sysconfig.get_path("purelib")


class CoreFinder:
    """Python's own finder of what is installed, which overlooks some of it. Libraries that others carry along in
    folders of their own, as Ray does, are still found there."""

    def __init__(self, modules: set[str], distributions: set[str]) -> None:
        self.modules, self.distributions = modules, distributions

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self.modules:
            path = [folder for folder in sys.path if folder != SITE_PACKAGES]
        return PathFinder.find_spec(name, path, target)

    def find_distributions(self, context: DistributionFinder.Context) -> Iterator[Distribution]:
        for distribution in PathFinder.find_distributions(context):
            if canonicalize_name(distribution.name) not in self.distributions:
                yield distribution

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()


def with_dependencies(lines: Iterable[str]) -> set[str]:
    """These requirements and all that they require in turn, of what is installed."""
    names: set[str] = set()
    open_ones = [Requirement(line) for line in lines]
    while open_ones:
        requirement = open_ones.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if name in names and extras == {""}:
            continue
        names.add(name)
        try:
            candidates = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        open_ones += [c for c in candidates if not c.marker or any(c.marker.evaluate({"extra": e}) for e in extras)]
    return names


def hide_extras() -> None:
    """From now on, only what the core asks for can be imported."""
    core = with_dependencies(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    providers = {
        module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
    }
    modules = {module for module, names in providers.items() if not names & (core | {"evornn"})}
    distributions = set().union(*providers.values()) - core - {"evornn"}
    sys.meta_path[sys.meta_path.index(PathFinder)] = CoreFinder(modules, distributions)  # type: ignore[arg-type]
    for name in [name for name in sys.modules if name.partition(".")[0] in modules]:
        del sys.modules[name]  # those of this file


def run(case: list[str] | str) -> dict[str, Any]:
    """The exit status and the output of a command or of code."""
    from evornn.cli import main
    from evornn.errors import EvornnError

    out, err = io.StringIO(), io.StringIO()
    status: int | None = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            if isinstance(case, str):
                exec(case, {})
            else:
                sys.argv = ["evornn", *case]
                main()
        except SystemExit as end:
            status = int(end.code or 0)
        except EvornnError as error:
            status = 1
            print(f"error: {error}", file=sys.stderr)
        except BaseException:
            status = None
            traceback.print_exc()
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    hide_extras()
    print(json.dumps([run(case) for case in cases]))
