"""The compiled interpreter and its loops: compiled once on a machine, loaded from disk afterwards.

Numba compiles each function to a file of machine code, which later processes load in milliseconds. The file's name is a
hash of all that it depends on: the sources of this package, the versions of Python, numba and llvmlite, the CPU with
its features, and the machine. A damaged file is compiled again. A folder that another user owns or may write to is not
used, nor is one that can't be written: a temporary one takes its place, or each process compiles for itself. Either is
logged.
"""

from __future__ import annotations

import ctypes
import fcntl
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llvmlite import binding

from evornn import cache as kept
from evornn.errors import EvornnError

log = logging.getLogger("evornn.kernels")
KIND = "kernels"  # in the cache
DIGEST = 32  # bytes of the digest with which a file begins
# name → its module, and the kinds of its arguments: i integer, f float32, a array of float32
FUNCTIONS = {
    "execute": ("interpreter.instructions", "iiiiiii"),
    "run": ("interpreter.driver", "iiiii"),
    "conclude": ("interpreter.driver", "iii"),
    "steps": ("interpreter.control_driver", "i"),
    "fill": ("runtime.normal", "aii"),
}
_KINDS: dict[str, list[Any]] = {"i": [ctypes.c_int64], "f": [ctypes.c_float], "a": [ctypes.c_int64] * 7}
_lock = threading.RLock()


@cache
def function(name: str) -> Callable[..., None]:
    """A compiled function, to be called with addresses of arrays. It releases Python's lock."""
    kinds = [kind for letter in FUNCTIONS[name][1] for kind in _KINDS[letter]]
    entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address(name))
    nothing = ctypes.create_string_buffer(16)  # where numba's functions would leave a result, and an exception
    place = ctypes.addressof(nothing)

    def call(*arguments: Any, _keep: Any = nothing) -> None:
        entry(place, place + 8, *arguments)

    return call


def address(name: str) -> int:
    """The address of a compiled function."""
    with _lock:  # threads that need it at the same time wait for one compilation
        return _address(name)


@cache
def _address(name: str) -> int:
    content = _load_stored(name) or _load_or_compile(name)
    symbol, _, code = content.partition(b"\n")
    engine = _engine(code)
    value: int = engine.get_function_address(symbol.decode())
    return value


@cache
def _target() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3, jit=True, codemodel="jitdefault", reloc="default"
    )


_engines: list[Any] = []  # they own the code


def _engine(code: bytes) -> Any:
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


def load_module(code: str, names: Sequence[str]) -> tuple[int, ...]:
    """The addresses of functions in an LLVM module, compiled for this process."""
    with _lock:
        module = binding.parse_assembly(code)
        target = _target()
        options = binding.create_pipeline_tuning_options(speed_level=3)
        passes = binding.create_pass_builder(target, options)
        passes.getModulePassManager().run(module, passes)
        engine = _engine(target.emit_object(module))
    return tuple(engine.get_function_address(name) for name in names)


# ---- on disk --------------------------------------------------------------------------------------------------------


@cache
def _file_name(name: str) -> str:
    machine = _machine(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    parts = [*_sources(FUNCTIONS[name][0].split(".")[1]), sys.version, version("numba"), version("llvmlite"), *machine]
    key = blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
    return f"{name}-{key}.o"


def _machine() -> str:
    """An id that distinguishes machines which share the folder; containers have none."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""


def _read_sources() -> dict[str, str]:
    return {file.stem: file.read_text("utf-8") for file in Path(__file__).parents[1].glob("*/*.py")}


_SOURCES = _read_sources()  # what this process runs; an update in the meantime must not be mixed with it


def _sources(module: str) -> list[str]:
    """The texts of a module of this package and of those that it imports, directly or not."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        if (name := waiting.pop()) not in sources:
            sources[name] = _SOURCES[name]
            waiting += re.findall(r"^from evornn\.kernels\.simd\.\w+\.(\w+) import", sources[name], re.MULTILINE)
            for names in re.findall(r"^from evornn\.kernels\.simd\.\w+ import ([\w, ]+)", sources[name], re.MULTILINE):
                waiting += [name.split(" as ")[0].strip() for name in names.split(",")]
    return [sources[name] for name in sorted(sources)]


def _load_stored(name: str, complain: bool = False) -> bytes | None:
    """The content of a file that an earlier process has made; None: there is none that can be trusted."""
    for folder in kept.folders(KIND):
        file = folder / _file_name(name)
        try:
            if not file.exists() or kept.is_untrusted(folder) or kept.is_untrusted(file):
                continue
            content = file.read_bytes()
        except OSError:
            continue
        if blake2b(content[DIGEST:], digest_size=DIGEST).digest() == content[:DIGEST]:
            return content[DIGEST:]
        if complain:
            log.warning("%s is damaged: compiling it again", file)
    return None


def _load_or_compile(name: str) -> bytes:
    """Compiled by this process, or by another one that started earlier."""
    with _compile_lock():
        return _load_stored(name, complain=True) or _compile_and_store(name)


@contextmanager
def _compile_lock() -> Iterator[None]:
    """Processes of one user wait for each other's results, where one of the folders can be written."""
    with ExitStack() as stack:
        for folder in kept.folders(KIND):
            with suppress(OSError):  # without any, compile without a lock
                kept.make_private(folder)
                lock = stack.enter_context((folder / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
                break
        yield


def _compile_and_store(name: str) -> bytes:
    began = time.perf_counter()
    log.warning("compiling kernels (%s): some seconds, once on this machine", name)
    content = _compile(name)
    log.info("compiled %s in %.1f s", name, time.perf_counter() - began)
    kept.write(KIND, _file_name(name), blake2b(content, digest_size=DIGEST).digest() + content, private=True)
    return content


def _compile(name: str) -> bytes:
    """The name of a function's symbol, and its machine code."""
    import numba as nb

    if _read_sources() != _SOURCES:
        raise EvornnError("evornn was updated while this process ran: start it again")

    types = {"i": nb.int64, "f": nb.float32, "a": nb.float32[::1]}
    module, kinds = FUNCTIONS[name]
    dispatcher = getattr(import_module(f"evornn.kernels.simd.{module}"), name)
    dispatcher.compile(tuple(types[letter] for letter in kinds))
    (signature,) = dispatcher.signatures
    compiled = binding.parse_assembly(dispatcher.inspect_llvm(signature))
    symbol: str = dispatcher.overloads[signature].fndesc.llvm_func_name
    code: bytes = _target().emit_object(compiled)
    return symbol.encode() + b"\n" + code
