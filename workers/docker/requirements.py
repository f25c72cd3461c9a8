"""Prints what evornn with the given extras depends on, for a layer of images that changes of the code leave as it is:
python requirements.py server tune < pyproject.toml"""

from __future__ import annotations

import sys
import tomllib
from typing import Any


def requirements(project: dict[str, Any], extras: list[str]) -> set[str]:
    """The requirements of the core and of extras, and of those that an extra names: evornn[parquet]."""
    needed = set(project["dependencies"])
    for extra in (left := [*extras]):  # grows
        for requirement in project["optional-dependencies"][extra]:
            if requirement.startswith("evornn["):
                left += requirement.removeprefix("evornn[").removesuffix("]").split(",")
            else:
                needed.add(requirement)
    return needed


if __name__ == "__main__":
    print("\n".join(sorted(requirements(tomllib.load(sys.stdin.buffer)["project"], sys.argv[1:]))))
