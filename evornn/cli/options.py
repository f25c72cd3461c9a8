"""Options shared by several commands, and the target of a command: a database, or a server."""

from __future__ import annotations

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.reading.results import Results

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}  # seconds
DEFAULT = "sqlite:///evornn.db"
WITH_TARGET = "run|resume|submit|ls|show|logs|cancel|retry|compare|query|export|model|models"
SUGGESTION = re.compile(rf"`(evornn (?:{WITH_TARGET})\b(?:(?! --s(?:tore|erver)\b)[^`|])*)`")  # in a message
Store = Annotated[
    str, typer.Option("--store", envvar="EVORNN_STORE", help="Database URL.", show_default="sqlite:///evornn.db")
]
Server = Annotated[
    str | None, typer.Option("--server", envvar="EVORNN_SERVER", help="URL of a server, instead of a database.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[int | None, typer.Option(min=0, help="CPUs of a local Ray; 0: no Ray; default: all.")]
Address = Annotated[str | None, typer.Option(help="Ray cluster, for example host:6379; default: a local Ray.")]
Report = Annotated[Path | None, typer.Option(help="Also write the comparison as one HTML file.")]
Job = Annotated[int | None, typer.Argument(help="Number of the job; default: the newest.", show_default=False)]
Spec = Annotated[Path, typer.Argument(help="Spec of the experiment, YAML or JSON.")]
Priority = Annotated[int, typer.Option(min=-1000, max=1000, help="Runs with a larger one are computed first.")]


class ExportKind(StrEnum):
    """What `evornn export` writes."""

    runs = "runs"
    curves = "curves"


class Scope(StrEnum):
    """What a token may do; each scope includes those before it."""

    read = "read"
    submit = "submit"
    admin = "admin"


def open_results(store: str, server: str | None, create: bool = False) -> Results:
    """Open the target of a command.

    Args:
        store: Database URL.
        server: URL of a server, which is used unless --store is given.
        create: Whether to create a missing database.

    Raises:
        EvornnError: It can't be opened or reached.
    """
    from evornn import library

    chosen = resolve_server(server)
    return library.open(store, create=create) if chosen is None else library.connect(chosen)


def resolve_server(server: str | None) -> str | None:
    """The server; None if the command line names a database, which takes precedence over EVORNN_SERVER."""
    store_named, server_named = has_option("store"), has_option("server")
    if store_named and server_named:
        raise EvornnError("--store and --server exclude each other: leave one out")
    return None if store_named else server


def parse_duration(text: str, option: str) -> float:
    """Seconds of a duration such as 90d, 12h, 30m or 45s. Raises EvornnError.

    >>> parse_duration("12h", "older")
    43200.0
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if match is None:
        raise EvornnError(f"--{option} {text}: give a number and a unit, such as 90d, 12h or 30m")
    return float(match[1]) * UNITS[match[2]]


def has_option(option: str) -> bool:
    """Whether an option is given on the command line, not by an environment variable."""
    return any(word == f"--{option}" or word.startswith(f"--{option}=") for word in sys.argv)


def target_option(store: str, server: str | None) -> str:
    """The option that gives another command the same target, as it can be pasted into a shell."""
    if (chosen := resolve_server(server)) is not None:
        return shell_option("server", chosen)
    return "" if store == DEFAULT else shell_option("store", store)


def repeat_target() -> str:
    """The target that the command line itself names, for another command; variables hold for that one as well."""
    for name in ("store", "server"):
        for k, word in enumerate(sys.argv):
            if word.startswith(f"--{name}="):
                return shell_option(name, word.partition("=")[2])
            if word == f"--{name}" and k + 1 < len(sys.argv):
                return shell_option(name, sys.argv[k + 1])
    return ""


def name_target(message: str) -> str:
    """A message in which the commands that it suggests have the target of this one, so that they can be pasted."""
    return SUGGESTION.sub(lambda match: f"`{match[1]}{repeat_target()}`", message)


def shell_option(name: str, value: str) -> str:
    """` --name value`, quoted where a shell would read the value otherwise. A password is left out."""
    return f" --{name} {quote(hide_password(value))}"


def hide_password(url: str) -> str:
    """A URL with *** for its password: it must not get into logs."""
    return re.sub(r"^(?!sqlite)(\w[^:/]*://[^/@:]*):[^@]*@", r"\1:***@", url)


def check_writable(report: Path | None) -> None:
    """Check before hours of work that its report can be written. Raises EvornnError."""
    if report is None:
        return
    folder = report.absolute().parent
    if not folder.is_dir():
        raise EvornnError(f"--report {report}: the folder {folder} does not exist: create it first")
    if report.is_dir():
        raise EvornnError(f"--report {report}: is a folder: name a file in it")
    if not os.access(report if report.exists() else folder, os.W_OK):
        raise EvornnError(f"--report {report}: can't be written: choose another file")
