"""Normal numbers for populations: the published words, the exact transform, the distribution, the same bits."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evornn.arrays import Streams
from evornn.kernels.normal import standard_normal
from evornn.kernels.simd.runtime import normal
from evornn.kernels.simd.runtime.machine_code import function

WORDS = st.integers(0, 2**32 - 1)


def many(seed: int, count: int = 1_000_000) -> np.ndarray:
    return standard_normal(Streams(seed).at(0), 1, count)[0]


@pytest.mark.parametrize(
    ("given_words", "expected"),
    [  # kat_vectors of Random123, philox4x32 with 10 rounds
        ([0] * 6, ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]),
        ([0xFFFFFFFF] * 6, ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
            ["d16cfe09", "94fdcceb", "5001e420", "24126ea1"],
        ),
    ],
)
def test_the_words_are_those_that_the_authors_published(given_words: list[int], expected: list[str]) -> None:
    assert [f"{int(word):08x}" for word in normal.philox(*map(np.uint32, given_words))] == expected


@given(WORDS, WORDS)
def test_a_pair_is_the_exact_transform_of_its_words(a: int, b: int) -> None:
    u, v = np.float64(np.float32(a) + np.float32(1)) / 2**32, ((b >> 6) % 2**24 + 0.5) / 2**26 - 0.125 - (b >> 30) / 4
    length = np.sqrt(-2 * np.log(u))
    exact = length * np.cos(2 * np.pi * v), length * np.sin(2 * np.pi * v)
    np.testing.assert_allclose(normal.normal_pair(np.uint32(a), np.uint32(b)), exact, rtol=1e-6, atol=6e-7)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 33))
def test_any_shape_is_the_beginning_of_its_key(seed: int, rows: int, columns: int) -> None:
    """Also one that is no multiple of the four numbers of a counter; the same generator gives the same."""
    found = standard_normal(Streams(seed).at(3), rows, columns)
    assert found.shape == (rows, columns) and found.dtype == np.float32 and np.isfinite(found).all()
    np.testing.assert_array_equal(found, standard_normal(Streams(seed).at(3), rows, columns))
    assert not (found == standard_normal(Streams(seed).at(4), rows, columns)).all()


@pytest.mark.parametrize("seed", range(3))
def test_they_are_normal_and_independent(seed: int) -> None:
    """Each bound is passed by a sound generator in all but one of some thousand cases."""
    z = many(seed)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / len(z)) and abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / len(z))
    quarters = z.reshape(4, -1)  # what one counter gives lies a quarter apart
    for powers in (quarters, quarters**2, np.abs(quarters)):
        others = np.corrcoef(powers)[np.triu_indices(4, 1)]
        assert np.abs(others).max() < 4.5 / np.sqrt(quarters.shape[1])
    for lag in (1, 2, 16, 97):
        assert abs(np.corrcoef(z[:-lag], z[lag:])[0, 1]) < 4.5 / np.sqrt(len(z))
    tail = stats.norm.sf(4) * 2 * len(z)
    assert stats.poisson.cdf(int((np.abs(z) > 4).sum()), tail) == pytest.approx(0.5, abs=0.499)


def test_neighbouring_keys_are_independent() -> None:
    """Words one apart, as a generator hardly ever gives them."""
    both = []
    for first in (0, 1):
        out = np.empty(400_000, np.float32)
        array = 0, 0, len(out), 4, out.ctypes.data, len(out), 4  # as numba's functions take one
        function("fill")(*array, first, 0)
        both.append(out)
    assert abs(np.corrcoef(both)[0, 1]) < 4 / np.sqrt(400_000)


def test_the_bits_are_those_of_every_machine() -> None:
    """Those of plain arithmetic, one number at a time, and those of the machine on which this was written."""
    found = standard_normal(Streams(7, "bits").at(0), 16, 64)
    key = Streams(7, "bits").at(0).integers(0, 2**32, 2, np.uint32)
    slow = np.array([normal.four(k, *key) for k in range(256)]).T.ravel()
    np.testing.assert_array_equal(found.ravel(), slow)
    assert blake2b(found.tobytes(), digest_size=8).hexdigest() == "679a193bcfe50433"
