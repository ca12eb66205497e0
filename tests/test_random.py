"""Random numbers of the plant against integers of Python and the distributions of SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core import config
from scipy import stats

from spotline.random import (
    MANY,
    NORMAL,
    NORMAL_BITS,
    NORMALS_PER_HASH,
    hash64,
    normal,
    poisson_of_few,
    poisson_of_many,
    stream_key,
    uniform,
)

pytestmark = pytest.mark.kernel

MASK = (1 << 64) - 1
KEYS = st.integers(0, (1 << 63) - 1)
COUNTERS = st.integers(0, (1 << 62) - 1)
BITS = st.integers(0, MASK)

DRAWS = 20_000 if config.DISABLE_JIT else 200_000


def split_mix_64(key: int, counter: int) -> int:
    """Output number `counter` (from 0 for the state itself) of SplitMix64 from a state, in whole numbers."""
    z = (key + counter * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def hashes(key: int, n: int) -> list[np.uint64]:
    return [np.uint64(hash64(key, counter)) for counter in range(n)]


def test_reference_values_of_splitmix64():
    """The first numbers from seed 1234567, as given with many implementations of the generator."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [int(hash64(1234567, counter)) for counter in range(1, 6)] == expected


@given(KEYS, COUNTERS)
def test_hash_is_splitmix64(key: int, counter: int):
    assert int(hash64(key, counter)) == split_mix_64(key, counter)


def test_one_bit_of_the_counter_changes_half_of_the_bits():
    changed = [
        (int(hash64(77, counter)) ^ int(hash64(77, counter ^ 1 << bit))).bit_count()
        for counter in range(500)
        for bit in (0, 7, 31)
    ]
    assert np.mean(changed) == pytest.approx(32.0, abs=0.5)


@given(BITS)
def test_the_five_normals_of_a_hash_use_different_bits(bits: int):
    for which in range(NORMALS_PER_HASH):
        index = bits >> NORMAL_BITS * which & (1 << NORMAL_BITS) - 1
        assert normal(np.uint64(bits), which) == NORMAL[index]


def test_table_of_normals_has_mean_0_and_variance_1_and_is_symmetric():
    assert len(NORMAL) == 1 << NORMAL_BITS
    assert np.all(np.diff(NORMAL) > 0.0)
    np.testing.assert_allclose(NORMAL, -NORMAL[::-1], atol=1e-12)
    assert NORMAL.mean() == pytest.approx(0.0, abs=1e-12)
    assert NORMAL.var() == pytest.approx(1.0, abs=1e-12)
    # What a table of this size misses is the far tail.
    assert stats.kurtosis(NORMAL) == pytest.approx(0.0, abs=0.02)
    assert NORMAL[-1] == pytest.approx(3.67, abs=0.01)


def test_normals_of_a_stream():
    n = DRAWS // 5
    drawn = np.array([[normal(bits, k) for k in range(5)] for bits in hashes(20260227, n)])
    error = 1.0 / np.sqrt(drawn.size)
    assert drawn.mean() == pytest.approx(0.0, abs=4 * error)
    assert drawn.var() == pytest.approx(1.0, abs=4 * np.sqrt(2) * error)
    assert stats.skew(drawn.ravel()) == pytest.approx(0.0, abs=4 * np.sqrt(6) * error)
    assert stats.kstest(drawn[:4000].ravel(), "norm").pvalue > 1e-3
    # Neither the five of a hash nor neighbours in a stream have anything in common.
    correlation = np.corrcoef(drawn, rowvar=False) - np.eye(5)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)
    lagged = np.mean(drawn[1:] * drawn[:-1])
    assert lagged == pytest.approx(0.0, abs=4 * error)


@given(BITS)
def test_uniform_is_in_its_interval(bits: int):
    assert uniform(np.uint64(bits)) == (bits >> 11) / (1 << 53)


def test_uniform_never_reaches_1():
    assert uniform(np.uint64(0)) == 0.0
    assert uniform(np.uint64(MASK)) == 1.0 - 2.0**-53


def test_uniforms_of_a_stream():
    drawn = np.array([uniform(bits) for bits in hashes(4, DRAWS // 4)])
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


# Poisson numbers


@given(st.floats(1e-6, MANY), BITS)
def test_poisson_of_few_is_the_inverse_of_the_distribution(mean: float, bits: int):
    number, u = poisson_of_few(mean, np.uint64(bits)), uniform(np.uint64(bits))
    # Rounding of the sum of probabilities may shift a border by some 1e-16.
    assert stats.poisson.cdf(number, mean) >= u - 1e-14
    assert stats.poisson.cdf(number - 1, mean) <= u + 1e-14


def test_poisson_of_few_of_the_largest_deviate_ends():
    assert 0 <= poisson_of_few(MANY, np.uint64(MASK)) <= 200


@pytest.mark.parametrize("mean", [0.02, 0.6, 3.0, MANY])
def test_moments_of_poisson_of_few(mean: float):
    drawn = np.array([poisson_of_few(mean, bits) for bits in hashes(99, DRAWS)])
    n = DRAWS
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / n))
    assert drawn.var() == pytest.approx(mean, abs=4 * np.sqrt((mean + 2 * mean**2) / n))
    assert stats.skew(drawn) == pytest.approx(mean**-0.5, rel=0.05, abs=4 * np.sqrt((6 + 40 / mean) / n))
    values = np.arange(int(mean + 6 * np.sqrt(mean) + 3))
    expected = stats.poisson.pmf(values, mean) * n
    enough = expected > 20
    observed = np.array([(drawn == value).sum() for value in values])[enough]
    chi2 = ((observed - expected[enough]) ** 2 / expected[enough]).sum()
    assert stats.chi2.sf(chi2, enough.sum()) > 1e-3


def all_of_many(mean: float) -> np.ndarray:
    """Numbers of `poisson_of_many` from every deviate of the table: their exact distribution."""
    return np.array([poisson_of_many(mean, np.sqrt(mean), deviate) for deviate in NORMAL])


@pytest.mark.parametrize("mean", [8.0, 8.3, 12.5, 30.0, 60.0, 300.0, 5000.0])
def test_moments_of_poisson_of_many(mean: float):
    """Rounding to whole numbers adds 1/12 to the variance of the approximation, the correction 1/18."""
    numbers = all_of_many(mean)
    assert numbers.mean() == pytest.approx(mean, rel=1e-3)
    assert numbers.var() == pytest.approx(mean, rel=0.02 * MANY / mean + 0.002)
    assert stats.skew(numbers) == pytest.approx(mean**-0.5, rel=0.05, abs=0.005)


@pytest.mark.parametrize("mean", [8.0, 20.0, 100.0])
def test_distribution_of_poisson_of_many(mean: float):
    numbers = np.sort(all_of_many(mean))
    values = np.arange(numbers[-1] + 1)
    ours = np.searchsorted(numbers, values, side="right") / len(numbers)
    assert np.abs(ours - stats.poisson.cdf(values, mean)).max() < 0.01


def test_poisson_of_many_is_never_negative_and_meets_that_of_few():
    assert all_of_many(MANY).min() >= 0
    assert all_of_many(np.nextafter(MANY, 9.0)).min() >= 0


@given(st.floats(MANY, 1e5), st.integers(0, (1 << NORMAL_BITS) - 1))
def test_poisson_of_many_rounds_the_expansion_of_cornish_and_fisher(mean: float, index: int):
    z = NORMAL[index]
    exact = mean + np.sqrt(mean) * z + (z * z - 1.0) / 6.0
    assert abs(poisson_of_many(mean, np.sqrt(mean), z) - exact) <= 0.5 + 1e-9


# Keys


def test_streams_have_different_keys():
    paths = [
        (seed, field, spill, cause)
        for seed in (0, 1)
        for field, spill, cause in itertools.product(range(3), range(4), range(11))
    ]
    keys = {stream_key(*path) for path in paths}
    assert len(keys) == len(paths)
    assert all(0 <= key < 1 << 63 for key in keys), "they fit into a signed integer"


@pytest.mark.parametrize(
    ("path", "other"), [((0,), (0, 0)), ((3, 1), (3, 1, 0)), ((5, 1, 1), (5 + (1 << 32), 1))]
)
def test_longer_and_shorter_paths_have_different_keys(path: tuple[int, ...], other: tuple[int, ...]):
    assert stream_key(*path) != stream_key(*other)


def test_order_of_a_path_matters():
    assert len({stream_key(*path) for path in itertools.permutations((1, 2, 3))}) == 6


@given(KEYS)
def test_streams_of_different_keys_have_nothing_in_common(key: int):
    other = key ^ 1
    a = np.array([normal(np.uint64(hash64(key, counter)), 0) for counter in range(50)])
    b = np.array([normal(np.uint64(hash64(other, counter)), 0) for counter in range(50)])
    assert (a == b).mean() < 0.2
