"""Published tables beside ours.

    python -m benchmarks.papers NAME [--full] [--quick] [--store URL] [--workers N]
    python -m benchmarks.papers --list
    python -m benchmarks.papers --page > docs/papers.md

All runs are kept in the store: a second call computes what is missing. `--full` adds the lines that take longer than
the ten minutes that a section takes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from benchmarks.papers import page, running
from benchmarks.papers.section import NAMES, section
from evornn import library
from evornn.cli.progress import progress
from evornn.errors import EvornnError
from evornn.store.store import open_store


def main(given: Sequence[str] | None = None) -> int:
    """Exit status 1 for an error that the message explains."""
    parser = argparse.ArgumentParser("python -m benchmarks.papers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="of a section; with --quick all by default")
    parser.add_argument("--list", action="store_true", help="the sections that there are")
    parser.add_argument("--page", action="store_true", help="print docs/papers.md from the store")
    parser.add_argument("--full", action="store_true", help="also what takes longer than ten minutes")
    parser.add_argument("--quick", action="store_true", help="two seeds and a hundredth of each budget: does it run?")
    parser.add_argument("--store", default="sqlite:///papers.db")
    parser.add_argument("--workers", type=int, help="CPUs; default: all; 0: no Ray")
    asked = parser.parse_args(given)
    if not (asked.list or asked.page or asked.quick or asked.name):
        parser.error("name a section, or --list them")
    try:
        _do(asked)
    except EvornnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(asked: argparse.Namespace) -> None:
    names = [asked.name] if asked.name else list(NAMES)
    sections = [section(name, asked.quick) for name in names]
    if asked.list:
        for found in sections:
            print(f"{found.name:<20} {found.title} ({found.source})")
        return
    if not asked.page:
        library.prepare(asked.workers, None)
    with open_store(asked.store, create=not asked.page) as store:
        if asked.page:
            pages = (page.markdown(s, running.measured(s, store), running.environments(s, store)) for s in sections)
            print(page.HEAD + "".join(pages), end="")
            return
        for found in sections:
            running.run(found, store, asked.workers, partial(progress, quiet=False), asked.full)
            Console().print(page.table(found, running.measured(found, store)))


if __name__ == "__main__":
    sys.exit(main())
