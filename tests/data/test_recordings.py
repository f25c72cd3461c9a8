"""WAV recordings: the features of a library, and every format of samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from evornn.data.mel import log_mel, mel_filters
from evornn.data.options import ReadOptions
from evornn.data.reading import load, read
from evornn.errors import EvornnError

TONE = np.sin(2 * np.pi * 440 * np.arange(1600) / 16000)
# librosa 0.11.0: filters.mel(sr=8000, n_fft=64, n_mels=4, htk=True, norm=None)[:, ::4]
LIBROSA_FILTERS = [
    [0, 0.630352, 0, 0, 0, 0, 0, 0, 0],
    [0, 0.369648, 0.71126, 0, 0, 0, 0, 0, 0],
    [0, 0, 0.28874, 0.994406, 0.50282, 0.011234, 0, 0, 0],
    [0, 0, 0, 0.005595, 0.49718, 0.988766, 0.671784, 0.335892, 0],
]
# librosa 0.11.0: log(max(1e-10, feature.melspectrogram(y=TONE, sr=16000, n_fft=400, hop_length=160, n_mels=40,
# htk=True, norm=None, center=False))), the first frame, bands 5 to 8
LIBROSA_ENERGIES = [-23.02585093, -23.02585093, 7.742167109, 9.348002837]


def test_filters_are_those_of_librosa() -> None:
    np.testing.assert_allclose(mel_filters(8000, 64, 4)[:, ::4], LIBROSA_FILTERS, atol=1e-6)


def test_energies_are_those_of_librosa() -> None:
    features = log_mel(TONE, 16000, 400, 160, 40)
    assert features.shape == (8, 40)
    np.testing.assert_allclose(features[0, 4:8], LIBROSA_ENERGIES, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "scale", "shift"), [("int16", 32767, 0), ("int32", 2**31 - 1, 0), ("float32", 1, 0), ("uint8", 127, 128)]
)
def test_samples_of_all_formats_are_read(dtype: str, scale: float, shift: float, tmp_path: Path) -> None:
    wavfile.write(tmp_path / "tone.wav", 16000, (TONE * scale + shift).astype(dtype))
    table = read(tmp_path / "tone.wav")
    assert table.names == ("seconds", *(f"mel {k}" for k in range(1, 41))) and len(table) == 8
    assert table.column("seconds").values[1] == 0.01
    loudest = max(table.names[1:], key=lambda name: table.column(name).values[0])
    assert loudest == "mel 8"
    assert table.column("mel 8").values[0] == pytest.approx(LIBROSA_ENERGIES[3], abs=0.05)


def test_the_mean_of_channels_is_read_and_said(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "stereo.wav", 16000, np.stack([TONE, -TONE], axis=1).astype(np.float32))
    contents = load(tmp_path / "stereo.wav", ReadOptions(mels=4))
    assert "2 channels" in str(contents.doubts[0])
    assert contents.about["features"] == "4 log-mel energies of frames of 25 ms every 10 ms"
    np.testing.assert_allclose(contents.table.column("mel 2").values, np.log(1e-10))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"frame_ms": 200}, "has 100 ms, less than a frame"),
        ({"hop_ms": 0}, "set it above 0"),
        ({"hop_ms": 30}, "up to"),
    ],
)
def test_frames_that_do_not_fit_are_refused(options: Any, problem: str, tmp_path: Path) -> None:
    wavfile.write(tmp_path / "tone.wav", 16000, TONE.astype(np.float32))
    with pytest.raises(EvornnError, match=problem):
        read(tmp_path / "tone.wav", ReadOptions(**options))


def test_half_a_recording_or_another_rate_is_refused(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 16000, TONE.astype(np.float32))
    wavfile.write(tmp_path / "b.wav", 8000, TONE.astype(np.float32))
    with pytest.raises(EvornnError, match=r"b\.wav: has 8000 Hz, a\.wav 16000 Hz: resample to one rate"):
        read(tmp_path)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:30])
    with pytest.raises(EvornnError, match=r"b\.wav: can't be read as WAV"):
        read(tmp_path / "b.wav")
