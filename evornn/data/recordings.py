"""WAV recordings as tables of log-mel features, one row per frame."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from evornn.data.contents import Contents
from evornn.data.doubts import Doubt
from evornn.data.opening import DAMAGED
from evornn.data.options import ReadOptions
from evornn.data.scaling import Doubles
from evornn.data.table import Column, Table
from evornn.errors import EvornnError

TIME = "seconds"  # the column of the times at which frames begin


def read_recording(path: Path, options: ReadOptions) -> Contents:
    """A WAV file. Raises EvornnError for one that can't be read or is shorter than a frame."""
    from evornn.data.mel import log_mel  # and scipy: a second that whoever has no recordings needn't wait

    samples, rate, channels = _samples(path)
    frame, hop = round(options.frame_ms * rate / 1000), round(options.hop_ms * rate / 1000)
    if not 0 < hop <= frame:
        raise EvornnError(f"hop_ms is {options.hop_ms:g}: set it above 0, up to frame_ms, {options.frame_ms:g}")
    if len(samples) < frame:
        raise EvornnError(f"{path}: has {1000 * len(samples) / rate:.0f} ms, less than a frame: set frame_ms to less")
    features = log_mel(samples, rate, frame, hop, options.mels)
    columns = [Column(TIME, "number", np.arange(len(features)) * (hop / rate))]
    columns += [Column(f"mel {k + 1}", "number", features[:, k]) for k in range(options.mels)]
    doubts = [Doubt(f"{channels} channels: their mean is read")] if channels > 1 else []
    table = Table(tuple(columns), path.name, np.arange(1, len(features) + 1))
    return Contents(table, tuple(doubts), _about(rate, options))


def _about(rate: int, options: ReadOptions) -> dict[str, str]:
    frames = f"frames of {options.frame_ms:g} ms every {options.hop_ms:g} ms"
    return {"format": "WAV", "rate": f"{rate} Hz", "features": f"{options.mels} log-mel energies of {frames}"}


def _samples(path: Path) -> tuple[Doubles, int, int]:
    """[N] samples between −1 and 1, their rate, and the number of channels of which they are the mean."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no sound
            rate, data = wavfile.read(path)
    except DAMAGED as error:
        raise EvornnError(f"{path}: can't be read as WAV ({error}): convert it to WAV in PCM") from None
    scale = {"u": 128.0, "i": float(2 ** (8 * data.dtype.itemsize - 1)), "f": 1.0}[data.dtype.kind]
    samples = data.astype(np.float64) / scale - (data.dtype.kind == "u")
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return samples.reshape(len(samples), -1).mean(axis=1), int(rate), channels
