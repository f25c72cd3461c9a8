"""Log-mel features of a recording (Davis & Mermelstein 1980): energies in bands as wide as the ear's, per frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from evornn.data.scaling import Doubles

QUIETEST = 1e-10  # energy below which all is silence


def log_mel(samples: Doubles, rate: int, frame: int, hop: int, mels: int) -> Doubles:
    """Natural logarithms of the energies.

    Args:
        samples: [N] between −1 and 1.
        rate: Samples in a second.
        frame: Samples of a frame, which are weighted by a Hann window.
        hop: Samples from one frame to the next.
        mels: The number of bands.

    Returns:
        [T, mels], T = 1 + (N − frame) // hop. Samples after the last whole frame are left out.
    """
    size = next_fast_len(frame, real=True)
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[::hop]  # [T, frame]
    filters, window = mel_filters(rate, size, mels), hann(frame, sym=False)
    energies = [np.abs(rfft(frames[k : k + 1024] * window, size)) ** 2 @ filters.T for k in range(0, len(frames), 1024)]
    return np.asarray(np.log(np.maximum(np.concatenate(energies), QUIETEST)))


def mel_filters(rate: int, size: int, mels: int) -> NDArray[np.float64]:
    """Triangles that are evenly spaced in mel = 2595 log₁₀(1 + f / 700), from 0 to half the rate.

    Args:
        rate: Samples in a second.
        size: Of the Fourier transform.
        mels: The number of bands.

    Returns:
        [mels, 1 + size // 2] weights of frequencies.
    """
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)  # in Hz
    frequencies = np.linspace(0, rate / 2, 1 + size // 2)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), np.float64)
