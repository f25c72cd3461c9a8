"""`evornn quota`: what one owner may queue, compute at once and upload."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from evornn.cli.options import DEFAULT, Json, Server, Store, open_results
from evornn.cli.output import show
from evornn.errors import EvornnError

quota = typer.Typer(help="Limit what each user of the server may take.", no_args_is_help=True)
WORDS = {"none": -1, "default": None}


def _limit(text: str, name: str) -> int | None:
    """`1000`, `none` for no limit, `default` for that of all."""
    if text in WORDS:
        return WORDS[text]
    if text.isdecimal():
        return int(text)
    raise EvornnError(f"--{name} {text}: give a number, none for no limit, or default for that of all users")


@quota.command("set")
def set_quota(
    owner: Annotated[
        str, typer.Argument(help="Name of the user's token; default: all who have no limit of their own.")
    ] = "",
    queued: Annotated[str | None, typer.Option(help="Runs that wait; a number, none or default.")] = None,
    running: Annotated[str | None, typer.Option(help="Runs at work at once.")] = None,
    priority: Annotated[str | None, typer.Option(help="Highest priority of jobs.")] = None,
    upload_bytes: Annotated[str | None, typer.Option(help="Bytes of all uploaded data sets.")] = None,
    stored_bytes: Annotated[str | None, typer.Option(help="Bytes of models, checkpoints and champions.")] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Set limits of a user, or of all. Admins aren't limited in what they submit."""
    from evornn.cli import tables

    given = {
        "queued": queued, "running": running, "priority": priority, "upload_bytes": upload_bytes,
        "stored_bytes": stored_bytes,
    }  # fmt: skip
    limits = {name: _limit(text, name.replace("_", "-")) for name, text in given.items() if text is not None}
    if not limits:
        raise EvornnError("name a limit: --queued, --running, --priority, --upload-bytes or --stored-bytes")
    with open_results(store, server, create=True) as results:
        effective = results.store.set_quota(owner, limits)
    show(asdict(effective) if as_json else tables.quotas([effective]), as_json)


@quota.command("ls")
def list_quotas(store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """List the limits of all users and of those who have their own."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        quotas = results.store.quotas()
    show([asdict(one) for one in quotas] if as_json else tables.quotas(quotas), as_json)
