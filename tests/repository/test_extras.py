"""The core without its extras: every command works, or ends with one line that says what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from click import Command, Group

from evornn.cli.app import app
from evornn.errors import EvornnError, require
from evornn.service import doctor

ROOT = Path(__file__).parents[2]
SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "sunspots"}],
    "networks": [{"kind": "elman", "units": 2}],
    "trainers": [{"kind": "snes", "population": 4}, {"kind": "adam"}],
    "seeds": 1,
    "budget": {"steps": 20_000, "marks": 2},
}
TUNING = {**SPEC, "networks": [{"kind": "elman", "units": {"from": 2, "to": 3}}], "tuning": {"trials": 2}}

# In this order: the later ones see what the earlier ones made.
WORKING = [
    ["run", "small.json", "--workers", "0", "--report", "report.html"],
    ["submit", "small.json"],
    ["cancel", "--run", "4"],
    ["dispatch", "--workers", "0", "--until-empty"],
    ["resume", "2", "--workers", "0"],
    ["retry", "--run", "1"],
    ["ls"],
    ["ls", "2"],
    ["show", "1"],
    ["logs", "1"],
    ["compare", "1", "--report", "again.html"],
    ["query", "SELECT network, best_valid_loss FROM leaderboard"],
    ["export", "runs.csv"],
    ["export", "curves.json", "--what", "curves"],
    ["model", "1", "model.safetensors"],
    ["predict", "model.safetensors", "new.csv", "--coverage", "0.5", "-o", "answers.csv"],
    ["evaluate", "model.safetensors", "new.csv"],
    ["models", "register", "load", "1", "--alias", "production"],
    ["models", "ls"],
    ["models", "show", "load"],
    ["models", "download", "load", "again.safetensors"],
    ["models", "alias", "load", "production", "--remove"],
    ["models", "delete", "load:1"],
    ["catalog"],
    ["data", "load.csv", "--target", "load", "--spec", "load.yaml"],
    ["catalog", "jsb_chorales"],
    ["doctor", "--json"],
    ["token", "add", "me"],
    ["token", "ls"],
    ["token", "revoke", "me"],
    ["quota", "set", "me", "--running", "2"],
    ["quota", "ls"],
    ["archive", "2"],
    ["delete", "2", "--yes"],
    ["db", "upgrade"],
    ["db", "check"],
]
NEEDY = [
    (["serve"], "serve", "server"),
    (["tune", "tuning.json", "--workers", "0"], "tuning", "tune"),
    (["export", "runs.parquet"], "a .parquet file", "parquet"),
    (["data", "load.parquet"], "a Parquet file", "parquet"),
    (["fit", "load.parquet", "--target", "load"], "a Parquet file", "parquet"),
]
CODE = [
    ("import evornn; evornn.Classifier()", "an estimator", "sklearn"),
    ("import evornn; evornn.connect('http://127.0.0.1:1')", "a connection to a server", "server"),
    ("import evornn; evornn.open('postgresql://me@127.0.0.1:1/none')", "a PostgreSQL store", "server"),
    ("import evornn; evornn.tune('tuning.json', workers=0)", "tuning", "tune"),
    ("from evornn.tasks import TASKS; TASKS.build({'kind': 'alkanes'}).data()", "the task alkanes", "data"),
    ("from evornn.tasks import TASKS; TASKS.build({'kind': 'jsb_chorales'}).data()", "the task jsb_chorales", "data"),
    (
        "from evornn.tasks import TASKS; "
        "TASKS.build({'kind': 'gymnasium', 'environment': 'popgym-RepeatFirstEasy-v0'}).data()",
        "an environment of popgym",
        "gym",
    ),
]
# Not called here: without a cluster, they end with one line that says so (tests/workers/test_joining.py).
CLUSTER = [["drain", "name", "--address", "127.0.0.1:1"]]
# What only an extra's libraries can load, and what is loaded by alembic alone.
EXTRA_MODULES = (
    "evornn.client",
    "evornn.dashboards",
    "evornn.estimators",
    "evornn.service.api",
    "evornn.store.sandbox_postgres",
)
NOT_IMPORTED = (*EXTRA_MODULES, "evornn.store.migrations.env")


def commands(group: Group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """All commands, with the words that call them."""
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def example(name: tuple[str, ...]) -> list[str]:
    """A call of this command; a new command needs one in WORKING, NEEDY or CLUSTER."""
    return next(
        words for words in (*WORKING, *CLUSTER, *(words for words, _, _ in NEEDY)) if tuple(words[: len(name)]) == name
    )


def calls_with(option: str, value: str) -> list[list[str]]:
    """A call of each command that has the option."""
    names = [name for name, command in COMMANDS.items() if any(option in param.opts for param in command.params)]
    return [[*(NAMES.get(word, word) for word in example(name) if word not in LOCAL), option, value] for name in names]


LOCAL = ("--workers", "0")  # what a server refuses
NAMES = {"model.safetensors": "load"}  # a registered model instead of a file, which needs neither store nor server
COMMANDS = dict(commands(typer.main.get_command(app)))
REMOTE = calls_with("--server", "http://127.0.0.1:1")
# `doctor` says it in its table, and `fit` reads its file before it opens the store.
CALLS = calls_with("--store", "postgresql://me@127.0.0.1:1/none")
POSTGRES = [words for words in CALLS if words[0] not in ("doctor", "fit")]
MISSING: list[tuple[list[str] | str, str, str]] = [
    *NEEDY,
    *CODE,
    *((words, "a connection to a server", "server") for words in REMOTE),
    *((words, "serve" if words[0] == "serve" else "a PostgreSQL store", "server") for words in POSTGRES),
]


def core_modules() -> list[str]:
    """All modules but those that only an extra can load."""
    files = [path.relative_to(ROOT) for top in ("evornn", "workers") for path in (ROOT / top).rglob("*.py")]
    dotted = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    names = [name if name.startswith("evornn") else f"evornn.{name}" for name in dotted]
    return sorted(name for name in names if not name.startswith(NOT_IMPORTED))


IMPORTS = f"from importlib import import_module; [import_module(name) for name in {core_modules()}]"
CASES: list[list[str] | str] = [*WORKING, *(case for case, _, _ in MISSING), IMPORTS]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each case ended with, in a process that sees the core alone."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "small.json").write_text(json.dumps(SPEC))
    (folder / "tuning.json").write_text(json.dumps(TUNING))
    (folder / "load.csv").write_text("load\n1\n2\n4\n")
    (folder / "load.parquet").write_bytes(b"PAR1")
    (folder / "new.csv").write_text("sunspots\n" + "".join(f"{80 + k % 11}\n" for k in range(100)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVORNN_")}
    done = subprocess.run(
        [sys.executable, ROOT / "tests/support/core_only.py"],
        input=json.dumps(CASES),
        cwd=folder,
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {str(case): answer for case, answer in zip(CASES, json.loads(done.stdout), strict=True)}


def test_every_command_has_an_example() -> None:
    for name in COMMANDS:
        assert example(name)
    assert len(REMOTE) > 10 and len(POSTGRES) > 10


@pytest.mark.parametrize("words", [words for words in WORKING if words != ["doctor", "--json"]], ids=" ".join)
def test_a_command_that_works_with_the_core_alone(words: list[str], answers: dict[str, dict[str, Any]]) -> None:
    assert answers[str(words)]["status"] == 0, answers[str(words)]["err"]


@pytest.mark.parametrize(("case", "what", "extra"), MISSING, ids=lambda value: str(value)[:80])
def test_a_missing_extra_is_one_line_that_says_what_to_install(
    case: list[str] | str, what: str, extra: str, answers: dict[str, dict[str, Any]]
) -> None:
    line = f"error: {what} needs the extra {extra}: pip install 'evornn[{extra}]'\n"
    assert answers[str(case)] == {"status": 1, "out": "", "err": line}


def test_everything_but_the_extras_can_be_imported(answers: dict[str, dict[str, Any]]) -> None:
    assert answers[IMPORTS]["status"] == 0, answers[IMPORTS]["err"]


def test_doctor_says_which_extras_are_missing(answers: dict[str, dict[str, Any]]) -> None:
    names = list(doctor.EXTRAS)
    line = f"none; for {', '.join(names)}: pip install 'evornn[{','.join(names)}]'"
    assert line in answers[str(["doctor", "--json"])]["out"]


def test_a_module_of_our_own_that_is_missing_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"evornn\.nowhere"), require("server", "this"):
        import evornn.nowhere  # noqa: F401
    with pytest.raises(EvornnError, match="needs the extra server"), require("server", "this"):
        import nowhere  # noqa: F401
