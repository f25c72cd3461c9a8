"""Machine code on disk: compiled once on a machine, made again where it is damaged, never taken from others."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evornn import cache
from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.kernels.normal import standard_normal
from evornn.kernels.simd.runtime import machine_code

NAMES = sorted(machine_code.FUNCTIONS)
CACHES = machine_code.function, machine_code._address, machine_code._file_name, cache._warn_once


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where machine code is kept meanwhile; this process forgets what it has loaded from elsewhere, then and now."""
    monkeypatch.setenv("EVORNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # of other processes
    _forget()
    yield tmp_path / "cache" / "kernels"
    _forget()


def _forget() -> None:
    for known in CACHES:
        known.cache_clear()


def drawn() -> np.ndarray:
    """What `fill` computes, which is compiled in less than a second."""
    return standard_normal(Streams(3).at(0), 4, 5)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.o"))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Warnings since they were last asked for."""
    for name in LOGS:
        caplog.set_level(logging.INFO, name)

    def said() -> list[str]:
        found = [r.getMessage() for r in caplog.records if r.name in LOGS and r.levelno >= logging.WARNING]
        caplog.clear()
        return found

    return said


LOGS = "evornn.kernels", "evornn.cache"
COMPILING = "compiling kernels (fill): some seconds, once on this machine"


def test_it_is_compiled_once_and_found_afterwards(folder: Path, lines: Any) -> None:
    first = drawn()
    assert lines() == [COMPILING]
    (file,) = files(folder)
    assert file.name.startswith("fill-") and file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    for _ in range(2):
        np.testing.assert_array_equal(drawn(), first)
        _forget()
    assert lines() == [] and files(folder) == [file]


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: content[:10], lambda content: content[:-1], lambda content: content + b"!",
    lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:], lambda content: bytes(len(content)),
], ids=["empty", "short", "cut", "longer", "a bit", "zeros"])  # fmt: skip
def test_a_damaged_file_is_made_again(damage: Any, folder: Path, lines: Any) -> None:
    """One line says so, another one that it is compiled."""
    first = drawn()
    (file,) = files(folder)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    _forget()
    lines()
    np.testing.assert_array_equal(drawn(), first)
    assert lines() == [f"{file} is damaged: compiling it again", COMPILING]
    _forget()
    np.testing.assert_array_equal(drawn(), first)
    assert lines() == [] and file.stat().st_size == len(whole)


def test_where_nothing_can_be_kept_each_process_compiles(
    folder: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(place: Path) -> Iterator[None]:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(machine_code.kept, "atomic_write", full)
    first = drawn()
    compiling, kept = lines()
    assert compiling == COMPILING and "\n" not in kept
    assert kept == (
        "the cache can't be written ([Errno 28] No space left on device): each process makes its own kernels: "
        "set EVORNN_CACHE to a folder that can be written"
    )
    assert files(folder) == []
    np.testing.assert_array_equal(drawn(), first)
    assert lines() == []


UNUSABLE = {  # what stands at the cache folder's place → what the warning says
    "file": "Not a directory",
    "device": "Not a directory",
    "link to nowhere": "exists",
    "link to itself": "symbolic links",
    "long name": "File name too long",
}


def _make_unusable(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "file":
        place.write_text("a file in its place")
    elif kind == "device":
        monkeypatch.setenv("EVORNN_CACHE", "/dev/null")
    elif kind == "long name":
        monkeypatch.setenv("EVORNN_CACHE", str(place / ("x" * 300)))
    else:
        place.symlink_to(place if kind == "link to itself" else place.parent / "nowhere" / "at all")


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_temporary_folder_takes_the_place_of_one_that_cannot_be_made(
    kind: str, folder: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning says where kernels are kept and what to set; the next process finds them."""
    _make_unusable(kind, folder.parent, monkeypatch)
    first = drawn()
    compiling, kept = lines()
    temporary = cache.temporary_folder("kernels")
    assert compiling == COMPILING and kept.startswith("the cache can't be written (") and UNUSABLE[kind] in kept
    assert kept.endswith(f"): kernels are kept in {temporary}: {cache.ADVICE}")
    assert len(files(temporary)) == 1 and temporary.stat().st_mode & 0o777 == 0o700
    _forget()
    np.testing.assert_array_equal(drawn(), first)
    assert lines() == []


def test_a_user_without_a_home_has_a_temporary_folder(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVORNN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    drawn()
    assert f"(this user has no home folder): kernels are kept in {cache.temporary_folder('kernels')}" in lines()[1]


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_temporary_folder_that_another_user_has_put_there_is_not_used(
    folder: Path, lines: Any, tmp_path: Path
) -> None:
    folder.parent.write_text("a file in its place")
    temporary = cache.temporary_folder("kernels")
    temporary.mkdir()
    temporary.chmod(0o777)
    drawn()
    assert "each process makes its own kernels" in lines()[1] and list(temporary.iterdir()) == []


@pytest.mark.parametrize("rights", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_not_used(rights: int, folder: Path, lines: Any) -> None:
    drawn()
    (file,) = files(folder)
    folder.chmod(rights)
    precious = folder.parent / "precious"
    precious.write_text("mine")
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(precious)  # which opening it would empty
    _forget()
    lines()
    before = file.stat().st_mtime_ns
    drawn()
    compiling, kept = lines()
    assert compiling == COMPILING and f"{folder} is not this user's alone" in kept
    assert file.stat().st_mtime_ns == before and precious.read_text() == "mine"


@pytest.mark.parametrize("rights", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_used(rights: int, folder: Path, lines: Any) -> None:
    drawn()
    (file,) = files(folder)
    file.chmod(rights)
    _forget()
    lines()
    drawn()
    assert lines() == [COMPILING]
    assert file.stat().st_mode & 0o777 == 0o600  # it has been made again
    _forget()
    drawn()
    assert lines() == []


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_somebody_else_is_not_used(
    what: str, folder: Path, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn()
    (file,) = files(folder)
    theirs, stat = {"folder": folder, "file": file}[what], Path.stat

    def of_others(self: Path, **given: Any) -> Any:
        found = stat(self, **given)
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:]]) if self == theirs else found

    monkeypatch.setattr(Path, "stat", of_others)
    _forget()
    lines()
    drawn()
    found = lines()
    assert found[0] == COMPILING and len(found) == (2 if what == "folder" else 1)


def test_no_file_is_taken_for_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's name changes with the sources that it is made of, the versions and the machine, and with no others."""
    names = {name: machine_code._file_name(name) for name in NAMES}
    assert len(set(names.values())) == len(names) and all(file.startswith(f"{name}-") for name, file in names.items())

    def changed() -> set[str]:
        machine_code._file_name.cache_clear()
        return {name for name in NAMES if machine_code._file_name(name) != names[name]}

    assert changed() == set()
    networks = {"execute", "run", "conclude", "steps"}
    for module, made_of_it in {
        "vector": set(NAMES), "normal": {"fill"}, "control_driver": {"steps"}, "tiles": networks,
        "loss": networks - {"execute"}, "plant": set(), "evaluator": set(),
    }.items():  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setitem(machine_code._SOURCES, module, machine_code._SOURCES[module] + "\n")
            assert changed() == made_of_it, module
    binding = machine_code.binding
    for place, value in (machine_code, "version"), (machine_code, "_machine"), (binding, "get_host_cpu_name"):
        with monkeypatch.context() as patch:
            patch.setattr(place, value, lambda *_: "another")
            assert changed() == set(NAMES)


def test_sources_that_have_changed_meanwhile_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of this process would not fit."""
    monkeypatch.setitem(machine_code._SOURCES, "normal", machine_code._SOURCES["normal"] + "\n")
    with pytest.raises(EvornnError, match=r"\Aevornn was updated while this process ran: start it again\Z"):
        drawn()


DRAW = """
import logging
logging.basicConfig(level=logging.INFO)
from evornn.arrays import Streams
from evornn.kernels.normal import standard_normal
print(standard_normal(Streams(3).at(0), 2, 2).tolist())
"""


def started(code: str, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, log = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return out, log


def test_a_second_process_compiles_nothing() -> None:
    runs = [ended(started(DRAW)) for _ in range(2)]
    assert [log.count("compiling kernels") for _, log in runs] == [1, 0]
    assert runs[0][0] == runs[1][0] != ""


def test_two_processes_at_once_compile_once(folder: Path) -> None:
    runs = [ended(process) for process in [started(DRAW) for _ in range(3)]]
    assert sum(log.count("compiling kernels") for _, log in runs) == 1
    assert len({out for out, _ in runs}) == 1 and len(files(folder)) == 1


def test_sources_are_read_in_an_ascii_locale() -> None:
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    out, _ = ended(started("from evornn.kernels.simd.runtime import machine_code; print(machine_code.KIND)", **plain))
    assert out == "kernels\n"


ASK = """
import logging, numpy as np
logging.basicConfig(level=logging.INFO)
from evornn.networks.network import Network
for kind, units in (("elman", 5), ("elman", 8), ("gru", 3)):
    network = Network(kind, inputs=2, units=units, outputs=1)
    genomes, x, y = network.sample(2, 0), np.ones((20, 3, 2)), np.zeros((20, 3, 1))
    print(network.losses(genomes, x, y).tolist(), network.gradients(genomes, x, y)[1].sum())
"""


@pytest.mark.slow
def test_all_cells_and_sizes_are_run_by_what_is_compiled_once(folder: Path) -> None:
    runs = [ended(started(ASK)) for _ in range(2)]
    assert [log.count("compiling kernels") for _, log in runs] == [2, 0]
    assert runs[0][0] == runs[1][0] != ""
    assert [file.name.split("-")[0] for file in files(folder)] == ["execute", "run"]
