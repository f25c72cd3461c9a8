"""Compiled kernels on disk, shared by processes: in evornn's cache, kernels/<key>/.

The key is a hash of all that a kernel depends on: its source, the modules it imports, the versions of Python, numba
and llvmlite, and the CPU with its features. Nothing in there is ever stale; the folder may be deleted at any time.
`kernel.py` in a folder is the generated source, to be read when debugging.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
from llvmlite import binding

from evornn import cache as kept

log = logging.getLogger("evornn.kernels")


def folder() -> Path:
    """Where compiled kernels are kept."""
    return kept.folder("kernels")


@cache
def _machine() -> str:
    cpu = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    return "\n".join([sys.version, numba.__version__, llvmlite.__version__, *cpu])


def _imports(text: str) -> dict[str, str]:
    """The sources of this package's modules that a source imports, directly or not, by name."""
    found: dict[str, str] = {}
    waiting = [text]
    while waiting:
        for name in re.findall(r"^from evornn\.kernels\.simd\.(\w+) import", waiting.pop(), re.MULTILINE):
            if name not in found:
                found[name] = (Path(__file__).parent / f"{name}.py").read_text()
                waiting.append(found[name])
    return dict(sorted(found.items()))


def key(text: str) -> str:
    """The name of a kernel's folder."""
    parts = [text, *_imports(text).values(), _machine()]
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


def is_compiled(text: str, entry: str) -> bool:
    """Whether function `entry` of a generated module is in the cache."""
    return any((folder() / key(text)).rglob(f"kernel.{entry}-*.nbi"))


def compiled(text: str, name: str, entry: str, signature: tuple[Any, ...]) -> Any:
    """Function `entry` of a generated module, compiled for a signature, from the cache where it is there.

    A second process that wants the same kernel waits for the first one's result."""
    place = folder() / key(text)
    place.mkdir(parents=True, exist_ok=True)
    with _locked(place / "lock"):
        module = _module(text, place / "kernel.py")
        function = getattr(module, entry)
        began = time.perf_counter()
        known = is_compiled(text, entry)
        if not known:
            log.info("compiling the kernel of %s (some seconds, once on this machine)", name)
        function.compile(signature)
        function.disable_compile()
        log.debug(
            "%s %s %s in %.2f s: %s", name, entry, "loaded" if known else "compiled", time.perf_counter() - began, place
        )
    return function


def _module(text: str, path: Path) -> ModuleType:
    if not path.exists():
        with kept.written(path) as file:
            file.write(text.encode())
    spec = importlib.util.spec_from_file_location(f"evornn_kernel_{path.parent.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
