"""Prints what evornn with the given extras depends on, for a layer of images that changes of the code leave as it is:
python requirements.py server tune < pyproject.toml"""

from __future__ import annotations

import sys
import tomllib

project = tomllib.load(sys.stdin.buffer)["project"]
extras = list(sys.argv[1:])
needed = set(project["dependencies"])
for extra in extras:  # grows, because an extra may name others: evornn[parquet]
    for requirement in project["optional-dependencies"][extra]:
        if requirement.startswith("evornn["):
            extras += requirement.removeprefix("evornn[").removesuffix("]").split(",")
        else:
            needed.add(requirement)
print("\n".join(sorted(needed)))
