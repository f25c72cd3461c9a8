"""Commands for operators: serve, token, db, doctor."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evornn.cli.options import DEFAULT, Json, Scope, Server, Store, open_results, parse_duration
from evornn.cli.output import show
from evornn.errors import require

if TYPE_CHECKING:
    from evornn.service.api.serving import ServerInfo

database = typer.Typer(help="Manage the database.", no_args_is_help=True)
token = typer.Typer(help="Manage access tokens of the server.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the token.")]


def serve(
    store: Store = DEFAULT,
    host: Annotated[str, typer.Option(help="Address to listen on; without a token, only this machine's own.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    host_name: Annotated[
        list[str] | None, typer.Option(help="Host name under which the server answers; may be repeated.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets that specs may name.")] = None,
    own: Annotated[
        list[str] | None, typer.Option("--own", help="Your own code that specs may name, pkg.module:Class.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with a token of scope admin; created if missing.")
    ] = None,
    backups: Annotated[Path | None, typer.Option(help="Folder of backups, whose newest file /metrics reports.")] = None,
    as_json: Json = False,
) -> None:
    """Serve the API (documented at /docs) and the dashboard (/ui) until interrupted."""
    with require("server", "serve"):
        from evornn.dashboards import PREFIX, dashboard
    from evornn.service.api.serving import Options
    from evornn.service.api.serving import serve as begin
    from evornn.service.policy import SubmissionPolicy

    def announce(serving: ServerInfo) -> None:
        if as_json:
            show(asdict(serving), True)
        else:
            print(f"serving {serving.store} at {serving.url}, documented at {serving.url}/docs")
            print(f"dashboard: {serving.url}{PREFIX}")
            if serving.token:
                print(f"token (shown only once; scope admin): {serving.token}")
        print(end="", flush=True)

    options = Options(
        store, host, port, tuple(host_name or ()), SubmissionPolicy(data, frozenset(own or ())), token_file, backups
    )
    try:
        begin(options, announce, {PREFIX.rstrip("/"): dashboard})
    except KeyboardInterrupt:  # the usual way to stop
        print("stopped; nothing is lost")


@token.command("add")
def add_token(
    name: Name,
    scope: Annotated[Scope, typer.Option(help="read; submit: also submit, and change own jobs; admin: everything.")] = (
        Scope.submit
    ),
    expires: Annotated[
        str | None, typer.Option(help="After how long it expires, such as 30d or 12h; default: never.")
    ] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Create a token and print it, which is possible only once."""
    lifetime = None if expires is None else parse_duration(expires, "expires")
    with open_results(store, server, create=True) as results:
        secret = results.store.add_token(name, (scope.value,), lifetime)
    show({"name": name, "scope": scope.value, "token": secret}, True) if as_json else print(secret)


@token.command("ls")
def list_tokens(store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """List tokens, without their secrets."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        tokens = results.store.tokens()
    show([asdict(one) for one in tokens] if as_json else tables.tokens(tokens), as_json)


@token.command("revoke")
def revoke_token(name: Name, store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """Revoke a token, within two seconds."""
    with open_results(store, server) as results:
        results.store.revoke_token(name)
    show({"revoked": name}, True) if as_json else print(f"token {name} revoked")


def doctor(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Check this machine: libraries, memory, disk, GPU, Ray, the store."""
    from evornn.cli import tables
    from evornn.service.doctor import examine

    findings = examine(store)
    show([asdict(finding) for finding in findings] if as_json else tables.findings(findings), as_json)
    if any(not finding.good for finding in findings):
        raise typer.Exit(1)


@database.command()
def upgrade(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Upgrade the database to this version's schema."""
    from evornn.store.upgrades import upgrade as do

    version = do(store)
    show({"version": version} if as_json else f"{store} is at schema {version}", as_json)


@database.command()
def check(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Check the database's schema and file."""
    from evornn.store.upgrades import check as do

    health = do(store)
    show(asdict(health) if as_json else str(health), as_json)
