"""Published tables beside ours.

    python -m benchmarks.papers NAME [--full] [--quick] [--store URL] [--workers N]
    python -m benchmarks.papers --list
    python -m benchmarks.papers --page [--store URL ...] > docs/results/papers.md

All runs are kept in the store: a second call computes what is missing. `--full` adds the lines that take longer than
the ten minutes that a section takes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from rich.console import Console

from benchmarks.papers import page, running
from benchmarks.papers.section import NAMES, Section, section
from evornn import library
from evornn.errors import EvornnError
from evornn.service.progress import progress
from evornn.store.store import open_store


def main(given: Sequence[str] | None = None) -> int:
    """Exit status 1 for an error that the message explains."""
    parser = argparse.ArgumentParser("python -m benchmarks.papers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="of a section; with --quick all by default")
    parser.add_argument("--list", action="store_true", help="the sections that there are")
    parser.add_argument("--page", action="store_true", help="print docs/results/papers.md from the stores")
    parser.add_argument("--full", action="store_true", help="also what takes longer than ten minutes")
    parser.add_argument("--quick", action="store_true", help="two seeds and a hundredth of each budget: does it run?")
    parser.add_argument("--store", action="append", help="default: sqlite:///papers.db; several for --page")
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


def _do(options: argparse.Namespace) -> None:
    names = [options.name] if options.name else list(NAMES)
    sections = [section(name, options.quick) for name in names]
    urls = options.store or ["sqlite:///papers.db"]
    if options.list:
        for paper in sections:
            print(f"{paper.name:<20} {paper.title} ({paper.source})")
    elif options.page:
        _page(sections, urls)
    else:
        _run(sections, urls[0], options.workers, options.full)


def _run(sections: Sequence[Section], url: str, workers: int | None, full: bool) -> None:
    library.prepare(workers, None)
    with open_store(url) as store:
        for paper in sections:
            running.run(paper, store, workers, partial(progress, quiet=False), full)
            measured = running.measure(paper, [store])
            Console().print(page.table(paper, measured))
            for line in page.claims(running.claim_results(paper, [store])):
                print(line)
            if failed := sum(line.failed for line in measured):
                raise EvornnError(
                    f"{paper.name}: {failed} runs failed (evornn ls --store {url}); again tries them again"
                )


def _page(sections: Sequence[Section], urls: Sequence[str]) -> None:
    with ExitStack() as open_:
        stores = [open_.enter_context(open_store(url, create=False)) for url in urls]
        print(page.HEAD + "".join(_section(paper, stores) for paper in sections), end="")


def _section(paper: Section, stores: running.Stores) -> str:
    measured, claimed = running.measure(paper, stores), running.claim_results(paper, stores)
    return page.markdown(paper, measured, claimed, running.environments(paper, stores))


if __name__ == "__main__":
    sys.exit(main())
