"""Files as streams of bytes, whatever they were compressed by, and what kind of file they are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

from evornn.errors import EvornnError

Format: TypeAlias = Literal["text", "json", "parquet", "npy", "npz", "wav"]
HEAD = 4096  # bytes from which the kind of a file is told

# What libraries raise for files that are cut short or changed.
DAMAGED = (
    *(ValueError, OSError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError, MemoryError, OverflowError),
    *(UnboundLocalError, struct.error, zlib.error, zipfile.BadZipFile, lzma.LZMAError),
)

_COMPRESSIONS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_JSON = re.compile(rb'(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*(?:\{|\[\s*[\[{"\d-])')
_ZIP = b"PK\x03\x04"
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an Excel file (or another of Office)", "save the sheet as CSV"),
    (b"\x89HDF", "an HDF5 file", "export the table as Parquet or CSV"),
    (b"%PDF", "a PDF", "get the numbers as CSV"),
    (b"\x89PNG", "a picture", "get the numbers as CSV"),
    (b"\xff\xd8\xff", "a picture", "get the numbers as CSV"),
    (b"SQLite format 3", "a SQLite database", "export the table as CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first"),
    (b"\x93ARROW", "an Arrow file", "save it as Parquet"),
    (b"ARROW1", "an Arrow (Feather) file", "save it as Parquet"),
    (b"<!DO", "a web page", "save the table itself as CSV"),
    (b"<htm", "a web page", "save the table itself as CSV"),
    (b"OggS", "an Ogg recording", "convert it to WAV"),
    (b"fLaC", "a FLAC recording", "convert it to WAV"),
    (b"ID3", "an MP3 recording", "convert it to WAV"),
)


@contextmanager
def open_plain(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked if it is compressed. Raises EvornnError for one that can't be read or unpacked, also
    while it is read."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start.startswith(_ZIP):
                with _only_member(path, file) as member:
                    yield member
                return
            unpack = next((unpack for magic, unpack in _COMPRESSIONS.items() if start.startswith(magic)), None)
            yield cast("IO[bytes]", unpack(file)) if unpack else file
    except FileNotFoundError:
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path") from None
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise damage_error(path, error) from None
    except OSError as error:
        raise EvornnError(f"{path}: can't be read ({error.strerror or error}): check the file") from None


def damage_error(path: Path, error: Exception) -> EvornnError:
    """The error for a file that a library can't read."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return EvornnError(f"{path}: is damaged or incomplete ({reason}): get it once more")


def file_format(path: Path) -> Format:
    """What kind of file it is, by its first bytes. Raises EvornnError for one that holds no table."""
    if not path.exists():
        raise EvornnError(f"{path}: no such file in {Path.cwd()}: check the path")
    if zipfile.is_zipfile(path) and (kind := _zip_format(path)):
        return kind
    with open_plain(path) as file:
        head = file.read(HEAD)
        is_packed = not _starts_with(path, head[:4])
    for magic, kind in ((b"PAR1", "parquet"), (b"\x93NUMPY", "npy"), (b"RIFF", "wav")):
        if head.startswith(magic):
            if is_packed:
                raise EvornnError(f"{path}: is compressed, as only text may be: unpack it first")
            return cast("Format", kind)
    for magic, what, advice in _FOREIGN:
        if head[: len(magic)] == magic:
            raise EvornnError(f"{path}: is {what}: {advice}")
    return "json" if _JSON.match(head.replace(b"\0", b"")) else "text"  # it may be in UTF-16


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _zip_format(path: Path) -> Format | None:
    """Of a zip file that is no compressed text."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGED as error:
        raise damage_error(path, error) from None
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if "[Content_Types].xml" in names or "content.xml" in names:
        raise EvornnError(f"{path}: is a spreadsheet: save the sheet as CSV")
    return None


@contextmanager
def _only_member(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The one file of an archive; what a Mac adds doesn't count."""
    with zipfile.ZipFile(file) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")]
        if len(members) != 1:
            raise EvornnError(f"{path}: holds {len(members)} files: unpack it, and read one of them or their folder")
        if members[0].flag_bits & 1:
            raise EvornnError(f"{path}: is encrypted: unpack it first")
        try:
            member = archive.open(members[0])
        except DAMAGED as error:
            raise damage_error(path, error) from None
        with member:
            yield cast("Any", member)
