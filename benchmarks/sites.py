"""Databases to be disturbed, each on a small disk of its own where this user may mount one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.proxy import Proxy
from tests.support.postgres import ROOT_BECOMES, Postgres
from tests.support.small_disk import SmallDisk

MEGABYTES = 200


@dataclass
class Site:
    """A database, and what can be done to it."""

    name: str
    url: str  # for server and observers
    dispatchers_url: str
    disk: SmallDisk | None
    postgres: Postgres | None = None
    proxy: Proxy | None = None  # between dispatchers and database


@contextmanager
def sqlite() -> Iterator[Site]:
    """An SQLite file."""
    with _disk() as (folder, disk):
        url = f"sqlite:///{folder}/evornn.db"
        yield Site("sqlite", url, url, disk)


@contextmanager
def postgresql() -> Iterator[Site]:
    """A PostgreSQL server. Dispatchers reach it by a proxy; its tables, not its log, lie on the small disk."""
    with _disk() as (folder, disk), Postgres() as postgres:
        place = folder / "tables"
        place.mkdir()
        folder.chmod(0o755)
        with suppress(LookupError, PermissionError):
            shutil.chown(place, ROOT_BECOMES)
        with closing(psycopg.connect(postgres.url, autocommit=True)) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            connection.execute(b"CREATE DATABASE chaos TABLESPACE small")
        url, proxy = f"{postgres.url.rpartition('/')[0]}/chaos", Proxy(postgres.port)
        yield Site("postgresql", url, url.replace(f":{postgres.port}/", f":{proxy.port}/"), disk, postgres, proxy)
        proxy.close()


SITES = {"sqlite": sqlite, "postgresql": postgresql}


@contextmanager
def _disk() -> Iterator[tuple[Path, SmallDisk | None]]:
    folder = Path(tempfile.mkdtemp(prefix="evornn-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield folder, SmallDisk(folder) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
