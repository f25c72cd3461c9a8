"""evornn end to end against what practitioners take.

    python -m benchmarks.references [forecasting|classification|quality] [--quick] [--folder FOLDER] [--workers N]
    python -m benchmarks.references --page [--folder FOLDER] > docs/results/references.md

Files made of the packages' data, the store and what references have reached are in the folder: a second call computes
what is missing. The packages want an environment of their own:

    pip install -e '.[sklearn]' -r benchmarks/references/requirements.txt
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.references import files, others, ours, page
from benchmarks.references.parts import METHODS, PARTS, Set, sets
from benchmarks.references.scores import Outcome
from evornn import library
from evornn.errors import EvornnError
from evornn.store.store import Store, open_store


def main(given: Sequence[str] | None = None) -> int:
    """Exit status 1 for an error that the message explains."""
    parser = argparse.ArgumentParser("python -m benchmarks.references", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--page", action="store_true", help="print docs/results/references.md from what is kept")
    parser.add_argument("--quick", action="store_true", help="two seeds and a twentieth of each budget: does it run?")
    parser.add_argument("--folder", type=Path, help="default: references, with --quick references-quick")
    parser.add_argument("--workers", type=int, help="CPUs; default: all; 0: no Ray")
    asked = parser.parse_args(given)
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"{unknown.pop()} is no part: name some of {', '.join(PARTS)}")
    folder = asked.folder or Path("references-quick" if asked.quick else "references")
    try:
        parts = {part: sets(part, asked.quick) for part in asked.parts or PARTS}
        _page(parts, folder) if asked.page else _run(parts, folder, asked.workers)
    except EvornnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(parts: dict[str, list[Set]], folder: Path, workers: int | None) -> None:
    for one in (one for of_part in parts.values() for one in of_part):
        files.write(one.name, folder)
    library.prepare(workers, None)
    kept = others.Kept(folder / "references.json")
    with open_store(_url(folder)) as store:
        for part, of_part in parts.items():
            for one in of_part:
                others.run(one, folder, kept)
                ours.run(one, folder, store, workers)
            print("\n".join(page.section(part, [(one, _outcomes(one, folder, store, kept)) for one in of_part])))


def _page(parts: dict[str, list[Set]], folder: Path) -> None:
    kept = others.Kept(folder / "references.json")
    with open_store(_url(folder), create=False) as store:
        print(page.HEAD, end="")
        told = {part: [(one, _outcomes(one, folder, store, kept)) for one in found] for part, found in parts.items()}
        print("\n".join(page.summary([each for found in told.values() for each in found])))
        for part, found in told.items():
            print("\n".join(page.section(part, found)))
        print(page.machine(store))


def _outcomes(one: Set, folder: Path, store: Store, kept: others.Kept) -> list[Outcome]:
    """The references' first."""
    own = [outcome for method in METHODS for outcome in ours.outcomes(one, method, folder, store)]
    return [*others.outcomes(one, kept), *own]


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'references.db'}"


if __name__ == "__main__":
    sys.exit(main())
