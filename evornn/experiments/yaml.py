"""Specs as text: YAML or JSON as plain data and nothing else. Aliases (300 bytes of them can expand to gigabytes),
tags, repeated keys and several documents are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from evornn import files
from evornn.errors import EvornnError
from evornn.settings import MAX_DEPTH, check_depth

LIMIT = 2**20  # bytes


class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Safe YAML without aliases and tags; 1e7 is a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases and tags."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse(event, "aliases and anchors (& and *) are not allowed: write the value out")
        if getattr(event, "tag", None):
            raise self._refuse(event, f"tags are not allowed: remove {event.tag}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse repeated keys."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):  # others can't be keys at all
            if key.value in seen:
                raise self._refuse(key, f"the key {key.value!r} is given twice: remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, at: Any, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read(path: str | Path) -> dict[str, Any]:
    """Read a spec file as plain data. Raises EvornnError, which names the line."""
    file = Path(path)
    if not file.is_file():
        raise EvornnError(
            f"{path}: no such file: give the path of a YAML or JSON spec, for example examples/sunspots.yaml"
        )
    if file.stat().st_size > LIMIT:
        raise EvornnError(f"{path}: larger than {LIMIT:,} bytes: too large for a spec")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise EvornnError(f"{path}: not a text file in UTF-8") from None
    return parse(text, str(path))


def parse(text: str, name: str = "spec") -> dict[str, Any]:
    """Parse YAML, of which JSON is a subset, as plain data; `name` is for messages. Raises EvornnError."""
    try:
        data = yaml.load(text, PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, error.problem or "not valid YAML"
        problem = f"{error.context}, {problem}" if problem.startswith("but ") else problem
        raise EvornnError(f"{name}{f', line {mark.line + 1}' if mark else ''}: {problem}") from None
    except RecursionError:
        raise EvornnError(f"{name}: nested too deeply: a spec has a few levels, {MAX_DEPTH} at most") from None
    except (yaml.YAMLError, ValueError) as error:
        raise EvornnError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not data:
        raise EvornnError(f"{name}: empty: a spec has name, tasks, networks, trainers, seeds and budget")
    if not isinstance(data, dict):
        raise EvornnError(
            f"{name}: must be a mapping of name, tasks, networks, trainers, seeds, budget; got a {type(data).__name__}"
        )
    check_plain(data, name)
    return data


def check_plain(data: Any, name: str) -> None:
    """Refuse values that JSON can't express, and too deep nesting. Raises EvornnError."""
    check_depth(data, name)
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        raise EvornnError(
            f"{name}: only text, finite numbers, lists and mappings are allowed (dates and paths: as text)"
        ) from None


def write(path: Path, data: Any) -> None:
    """Write a spec as YAML, in the order of its keys."""
    files.write(path, to_text(data).encode())


def to_text(data: Any) -> str:
    """A spec as YAML, in the order of its keys."""
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return text
