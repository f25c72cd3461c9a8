"""Requests made from the API's own description, valid and invalid ones, against a real server: none may be an error of
the server. `python -m benchmarks.fuzz [--quick] [--requests N] [--seed N] [--json FILE]`"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.support.serving import Server, serving

REQUESTS = 10_000
QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "phases": [Phase.generate]}


def main() -> None:
    """Print how requests were answered; exit status 1 when one was an error of the server."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="300 requests")
    arguments.add_argument("--requests", type=int, default=REQUESTS)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", type=Path, metavar="FILE")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(f"sqlite:///{folder}/evornn.db") as server:
        results = fuzz(server, 300 if asked.quick else asked.requests, asked.seed)
    print(f"{sum(results['statuses'].values()):,} requests: {results['statuses']}")
    for problem in results["problems"]:
        print(problem)
    if asked.json is not None:
        asked.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(bool(results["problems"]))


def fuzz(server: Server, requests: int, number: int) -> dict[str, Any]:
    """As many requests as asked for, spread over all operations, valid and invalid ones alternately."""
    statuses: Counter[int] = Counter()
    problems: list[str] = []
    headers = {"Authorization": f"Bearer {server.token}"}
    description = server.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    operations = [result.ok() for result in schema.get_all_operations()]
    posed = [(operation, mode) for operation in operations for mode in modes()]

    def once(case: Any) -> None:
        answer = case.call(base_url=server.url, headers=headers, timeout=180)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            problems.append(f"{case.as_curl_command()} answered {answer.status_code} {answer.text[:300]}")

    while (missing := requests - statuses.total()) > 0:  # a route without parameters is asked fewer times than wanted
        each = -(-missing // len(posed))
        for operation, mode in posed:
            try_out(operation.as_strategy(generation_mode=mode), each, number, once)
            number += 1
    return {"statuses": {str(status): count for status, count in sorted(statuses.items())}, "problems": problems}


def modes() -> Iterator[GenerationMode]:
    yield GenerationMode.POSITIVE
    yield GenerationMode.NEGATIVE


def try_out(strategy: Any, examples: int, number: int, once: Callable[[Any], None]) -> None:
    """Call with so many examples."""
    with suppress(Unsatisfiable):  # a route without parameters can't be asked wrongly
        settings(max_examples=examples, **QUIET)(seed(number)(given(case=strategy)(once)))()  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
