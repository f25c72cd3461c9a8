"""`evornn models`: the registry of models of a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evornn import files
from evornn.cli.options import DEFAULT, Json, Server, Store, open_results
from evornn.cli.output import show

models = typer.Typer(help="List, register, name, download and delete models of the store.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[str, typer.Argument(help="NAME (its newest version), NAME@ALIAS or NAME:VERSION.")]


@models.command("ls")
def list_models(store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """List the versions of all registered models, newest first."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        known = results.models()
    show([asdict(one) for one in known] if as_json else tables.models(known), as_json)


@models.command("register")
def register(
    name: Name,
    source: Annotated[str, typer.Argument(metavar="RUN|FILE", help="Number of a run, or a .safetensors file.")],
    note: Annotated[str, typer.Option(help="What people should know of it.")] = "",
    alias: Annotated[str | None, typer.Option(help="Also give it this alias, such as production.")] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Keep the model of a run, or a file, as the next version of a model."""
    with open_results(store, server, create=not source.isdecimal()) as results:
        version = results.register_model(name, int(source) if source.isdecimal() else source, note)
        if alias is not None:
            version = results.store.set_model_alias(version.reference, alias)
    also = f", alias {alias}" if alias else ""
    show(asdict(version) if as_json else f"registered as {version.reference}{also}", as_json)


@models.command("show")
def show_model(model: Version, store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """Show a version: what it answers, how good it was on test, where it comes from."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        version = results.store.model(model)
    show(asdict(version) if as_json else tables.model(version), as_json)


@models.command("download")
def download(
    model: Version,
    file: Annotated[
        Path | None, typer.Argument(help="File to write; default: NAME-VERSION.safetensors.", show_default=False)
    ] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Write the file of a version."""
    with open_results(store, server) as results:
        version = results.store.model(model)
        content = results.store.model_file(version.reference)
    target = file or Path(f"{version.name}-{version.version}.safetensors")
    files.save(target, content)
    about = {"file": str(target), "model": version.reference, "digest": version.digest}
    show(about if as_json else f"{version.reference} written to {target}", as_json)


@models.command("alias")
def set_alias(
    model: Version,
    alias: Annotated[str, typer.Argument(help="Such as production, staging or archived.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias from the model.")] = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let an alias mean a version from now on, whichever it meant before."""
    with open_results(store, server) as results:
        if remove:
            name = results.store.model(model).name
            results.store.delete_model_alias(name, alias)
            show({"name": name, "removed": alias} if as_json else f"{name} has no alias {alias} any more", as_json)
            return
        version = results.store.set_model_alias(model, alias)
    show(asdict(version) if as_json else f"{version.name}@{alias} is {version.reference} now", as_json)


@models.command("delete")
def delete(
    model: Annotated[str, typer.Argument(help="NAME:VERSION.")],
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Delete a version with its file, for ever. One that an alias means stays."""
    with open_results(store, server) as results:
        version = results.store.delete_model(model)
    show({"deleted": version.reference} if as_json else f"{version.reference} deleted", as_json)
