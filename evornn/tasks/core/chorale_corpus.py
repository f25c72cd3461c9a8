"""Bach's chorales as piano rolls, from the package music21; parsed once on a machine, then kept in evornn's cache."""

from __future__ import annotations

import logging
import zipfile
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from io import BytesIO
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn import cache
from evornn.errors import require

KEYS, LOWEST = 88, 21  # of a piano; MIDI's number of the lowest one
KIND = "chorales"  # in the cache
CACHE_VERSION = 1  # of the cached file: raise it with any change of the content
Roll: TypeAlias = NDArray[np.bool_]  # [T, 88] which keys sound at each beat

log = logging.getLogger("evornn.tasks")


def chorales() -> list[Roll]:
    """All different chorales, in an order that has nothing to do with music: by a digest of their names.

    Raises EvornnError without music21."""
    with require("data", "the task jsb_chorales"):
        name = f"music21-{version('music21')}-{CACHE_VERSION}.npz"
    for folder in cache.folders(KIND):
        with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there, or damaged
            return _unpack((folder / name).read_bytes())
    content = _pack(parse_chorales())
    cache.write(KIND, name, content)
    return _unpack(content)


def parse_chorales() -> list[Roll]:
    """Parse music21's files. Duplicates are dropped: its 371 chorales are 350 files, two of which occur twice."""
    from music21 import corpus

    log.info("parsing Bach's chorales (about a minute, once on this machine)")
    names = set(corpus.chorales.Iterator(returnType="filename"))
    ordered = sorted(names, key=lambda name: blake2b(name.encode()).digest())
    rolls = {roll.tobytes(): roll for roll in (piano_roll(corpus.parse(name)) for name in ordered)}
    return list(rolls.values())


def piano_roll(score: Any) -> Roll:
    """The notes that sound at the beginning of each quarter note of a music21 score."""
    roll = np.zeros((ceil(score.highestTime), KEYS), np.bool_)
    for note in score.flatten().notes:
        first, last = ceil(note.offset), ceil(note.offset + note.quarterLength)
        for pitch in note.pitches:
            roll[first:last, pitch.midi - LOWEST] = True
    return roll


def _pack(rolls: list[Roll]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, keys=np.packbits(np.concatenate(rolls), axis=1), steps=[len(roll) for roll in rolls])
    return file.getvalue()


def _unpack(content: bytes) -> list[Roll]:
    with np.load(BytesIO(content), allow_pickle=False) as file:
        rolls = np.unpackbits(file["keys"], axis=1, count=KEYS).astype(np.bool_)
        return np.split(rolls, np.cumsum(file["steps"])[:-1])
