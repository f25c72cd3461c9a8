"""Who imports whom, read from the source alone, and which modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum

Edges = Mapping[str, Iterable[str]]  # module → what it imports


class Moment(IntEnum):
    """When an import takes place; each moment of a graph includes those before it."""

    LOAD = 0  # when the module is loaded
    TYPING = 1  # never: under `if TYPE_CHECKING`
    CALL = 2  # when a function is called


def graph(modules: Mapping[str, ast.Module], packages: Iterable[str], until: Moment) -> dict[str, set[str]]:
    """Module → the modules among `modules` that it imports, at `until` or an earlier moment.

    As for grimp, `from a import b` is an import of `a.b` where that is a module, else of `a`, and an import of `a.b` is
    none of `a`.
    """
    inside = set(packages)
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for name, tree in modules.items():
        base = name if name in inside else name.rpartition(".")[0]
        for node, moment in import_nodes(tree.body, Moment.LOAD):
            if moment <= until:
                targets = {module_of(target, modules) for target in import_targets(node, base)}
                edges[name] |= {target for target in targets if target is not None} - {name}
    return edges


def import_nodes(body: Iterable[ast.AST], moment: Moment) -> Iterator[tuple[ast.Import | ast.ImportFrom, Moment]]:
    """All imports below these nodes, each with its moment."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, moment
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            yield from import_nodes(node.body, max(moment, Moment.TYPING))
            yield from import_nodes(node.orelse, moment)
        else:
            within = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from import_nodes(ast.iter_child_nodes(node), Moment.CALL if within else moment)


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def import_targets(node: ast.Import | ast.ImportFrom, base: str) -> Iterator[str]:
    """Dotted names that a statement imports, in a module of the package `base`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    start = base.split(".")[: len(base.split(".")) - node.level + 1] if node.level else []
    yield from (".".join([*start, *([node.module] if node.module else []), alias.name]) for alias in node.names)


def module_of(target: str, modules: Mapping[str, object]) -> str | None:
    """The module that a dotted name is, or lies in."""
    if target in modules:
        return target
    parent = target.rpartition(".")[0]
    return parent if parent in modules else None


def circles(edges: Edges) -> list[list[str]]:
    """The strongly connected components of more than one module, each in alphabetical order (Kosaraju)."""
    reverse: dict[str, set[str]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for target in targets:
            reverse[target].add(name)
    order: list[str] = []
    seen: set[str] = set()
    for name in edges:
        order += depth_first(name, edges, seen)
    seen = set()
    components = [depth_first(name, reverse, seen) for name in reversed(order)]
    return sorted(sorted(component) for component in components if len(component) > 1)


def depth_first(start: str, edges: Edges, seen: set[str]) -> list[str]:
    """Names that can be reached from `start` past those in `seen`, which grows, each after all that it leads to."""
    if start in seen:
        return []
    seen.add(start)
    order, stack = [], [(start, iter(edges[start]))]
    while stack:
        target = next((target for target in stack[-1][1] if target not in seen), None)
        if target is None:
            order.append(stack.pop()[0])
        else:
            seen.add(target)
            stack.append((target, iter(edges[target])))
    return order
