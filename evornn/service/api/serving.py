"""`evornn serve`: the API on a port. Every request needs a token; while none exists, only this machine can connect."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import secrets
import socket
import stat
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from evornn.errors import EvornnError, require
from evornn.service.policy import SubmissionPolicy
from evornn.store.store import Store, open_store

if TYPE_CHECKING:
    from evornn.service.api.app import Mount

SECRET = 32  # bytes of a token
MIN_TOKEN = 32  # characters of a token from a file
FIRST = "first"  # name of the token that is created when there is none
LONGEST_HEAD = 2**16  # bytes of a request's first line and headers
SWITCH = 0.0005  # seconds that the loop may keep the interpreter from the threads that answer
GRACE = 5  # seconds for open requests when the server stops


@dataclass(frozen=True)
class Options:
    """How to serve."""

    store: str
    host: str = "127.0.0.1"
    port: int = 8000  # 0: any that is free
    host_names: Collection[str] = ()
    policy: SubmissionPolicy = field(default_factory=SubmissionPolicy)
    token_file: Path | None = None
    backups: Path | None = None  # folder whose newest file is the newest backup


@dataclass(frozen=True)
class ServerInfo:
    """What the operator should know. `token` is set if it was just created."""

    url: str
    store: str
    token: str | None = None


def serve(options: Options, on_ready: Callable[[ServerInfo], None], mounts: Mapping[str, Mount] | None = None) -> None:
    """Serve until interrupted.

    Args:
        options: Store, address, policy and token.
        on_ready: Called once the port is open.
        mounts: Path → further app, such as the dashboard.

    Raises:
        EvornnError: The port is taken, or the address is open to others while there is no token.
    """
    with require("server", "serve"):
        import uvicorn

        from evornn.service.api.app import create_app
        from evornn.service.api.connections import AT_ONCE, ConnectionLimits, FairServer, raise_file_limit
        from evornn.service.api.folder_metrics import FolderCollector

    if options.policy.data is not None and not options.policy.data.is_dir():
        raise EvornnError(f"--data {options.policy.data}: no such folder: create it first")
    with open_store(options.store) as store, _bind(options.host, options.port) as listener:
        secret, new_secret = _prepare_token(options, store)
        names = {*options.host_names, *_names(options.host)}
        folders = FolderCollector(_watched_folders(options, store), options.backups)
        app = create_app(store, options.policy, secret, names, mounts, folders)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=ConnectionLimits(raise_file_limit()).protocol(),  # h11, which can limit the length of heads
            h11_max_incomplete_event_size=LONGEST_HEAD,
            ws="none",
            timeout_graceful_shutdown=GRACE,
            backlog=AT_ONCE,  # see FairServer
        )
        logging.getLogger("evornn").setLevel(logging.WARNING)
        on_ready(ServerInfo(_url(listener), store.display_url, new_secret))
        sys.setswitchinterval(SWITCH)
        gc.freeze()  # what is imported by now stays: to look through it all again stopped every request for 0.2 s
        FairServer(config).run(sockets=[listener])


def _watched_folders(options: Options, store: Store) -> dict[str, Path]:
    """Name → folder that fills up: that of the data sets, and that of a SQLite file."""
    folders = {"data": options.policy.data, "store": None if store.path is None else store.path.parent}
    return {name: folder for name, folder in folders.items() if folder is not None}


def _prepare_token(options: Options, store: Store) -> tuple[str | None, str | None]:
    """The secret of the token file, and the secret of the token that was just created because there was none."""
    if options.token_file is not None:
        return read_token_file(options.token_file), None
    if any(token.revoked is None for token in store.tokens()):
        return None, None
    if not is_loopback(options.host):
        raise EvornnError(
            f"--host {options.host} is open to others, and there is no token: create one with `evornn token add NAME`, "
            "or name a file with --token-file"
        )
    known = {token.name for token in store.tokens()}
    name = next(name for name in (FIRST, *(f"{FIRST}-{k}" for k in range(2, len(known) + 3))) if name not in known)
    return None, store.add_token(name, ("admin",))


def read_token_file(file: Path) -> str:
    """Read the token of a file; a missing file is created, readable by its owner only. Raises EvornnError."""
    try:
        if not file.exists():
            new_secret = secrets.token_urlsafe(SECRET)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                opened.write(new_secret + "\n")
        mode, secret = file.stat().st_mode, file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EvornnError(f"--token-file {file}: can't be read or created ({error}): name another") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EvornnError(f"--token-file {file}: others may write it: chmod 600 {quote(str(file))}")
    if len(secret) < MIN_TOKEN or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise EvornnError(
            f"--token-file {file}: must contain one token of at least {MIN_TOKEN} characters: delete it for a new one"
        )
    return secret


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bind(host: str, port: int) -> socket.socket:
    """Bind a socket and listen on it. Raises EvornnError."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # clients may connect as soon as they know the address
    except (OSError, OverflowError) as error:
        raise EvornnError(f"can't serve at {host}:{port} ({error}): choose another --port or --host") from None
    return listener


def _names(host: str) -> set[str]:
    """The address itself, unless it stands for all interfaces."""
    return set() if host in ("0.0.0.0", "::", "") else {host}


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
