"""What a network's own file says of it.

The file begins with title, paper and equation, and the class says the rest. In a file of several networks each class
has both: `Title (paper): equation`, an empty line, the rest.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

HEAD = re.compile(r"(?P<title>[^(:]+) \((?P<paper>[^)]+)\): ?(?P<equation>.+)", re.DOTALL)
END_OF_HEAD = re.compile(r"(?<![:,])\n\n")  # an equation may be set apart, after a colon or comma


def split_documentation(kind: type[Any]) -> tuple[str, str]:
    """Title, paper and equation of a network's class, and the rest."""
    text = inspect.getdoc(kind) or ""
    head, *rest = END_OF_HEAD.split(text, maxsplit=1)
    if match_head(head):
        return head, "".join(rest)
    return inspect.getdoc(inspect.getmodule(kind)) or "", text


def match_head(text: str) -> re.Match[str] | None:
    """Title, paper and equation in a text that has all three."""
    return HEAD.fullmatch(text.replace(":\n\n", ": "))


def equation_of(kind: type[Any]) -> str:
    """The equation in words."""
    head, _ = split_documentation(kind)
    parts = match_head(head)
    return (parts["equation"] if parts else head).strip()
