"""Who does something, for the events of jobs and runs: a token of the server, a user of this machine, a dispatcher."""

from __future__ import annotations

import getpass
import os
from functools import lru_cache


@lru_cache(maxsize=1)
def local_actor() -> str:
    """The user of this process, who uses the database directly: `local:NAME`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return f"local:{name}"[:200].encode(errors="replace").decode()
