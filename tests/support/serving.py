"""A real server for tests: `evornn serve` in a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

CLIENT = httpx.Client(timeout=180, trust_env=False)  # making one takes longer than most requests
CODE = "from evornn.cli import main; main()"


@dataclass(frozen=True)
class Server:
    """Where it is, a token that may do all, and its process."""

    url: str
    token: str
    process: subprocess.Popen[str]

    def ask(self, method: str, path: str, token: str | None = "", **more: Any) -> httpx.Response:
        """One request; `token` is by default the server's own, None sends none."""
        secret = self.token if token == "" else token
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        headers |= more.pop("headers", {})
        return CLIENT.request(method, self.url + path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("POST", path, **more)


@contextmanager
def serving(store: str, *words: str, **environment: str) -> Iterator[Server]:
    """`evornn serve` over a store that has no token yet, until the end of the block."""
    command = [sys.executable, "-c", CODE, "serve", "--store", store, "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        told = json.loads(_object(process))
        yield Server(told["url"], told["token"] or "", process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def working(store: str) -> Iterator[None]:
    """`evornn dispatch` until the end of the block: computes what is submitted, one run at a time, without Ray."""
    command = [sys.executable, "-c", CODE, "dispatch", "--workers", "0", "--store", store]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _object(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            return "".join(lines)
    raise RuntimeError(f"the server ended with {process.wait()}")
