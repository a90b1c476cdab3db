from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust_unlearn_bench.metrics.forget_quality import kolmogorov_smirnov

# scipy says so where it falls back to the asymptotic p-value
pytestmark = pytest.mark.filterwarnings("ignore:ks_2samp. Exact calculation unsuccessful:RuntimeWarning")

SAMPLE = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=20)


def test_disjoint_samples_by_hand() -> None:
    # Distance 1 needs one sample wholly below the other: 2 of the C(6, 3) = 20 equally likely orders.
    result = kolmogorov_smirnov([1, 2, 3], [4, 5, 6])
    assert result == pytest.approx((1.0, 0.1))


def test_scipy_constant() -> None:
    # scipy.stats.ks_2samp([1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9]).pvalue == 0.10822510822510821; just above x = 3 three of
    # five lie below and none of six, just above x = 5 all of five and two of six: the distance is 2/3.
    result = kolmogorov_smirnov([1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9])
    assert result.distance == pytest.approx(2 / 3)
    assert result.p_value == pytest.approx(0.10822510822510821)


@given(SAMPLE, SAMPLE)
def test_symmetric_and_unchanged_by_the_logarithm(a: list[float], b: list[float]) -> None:
    result = kolmogorov_smirnov(a, b)
    assert result == pytest.approx(kolmogorov_smirnov(b, a))
    assert result == pytest.approx(kolmogorov_smirnov([math.exp(x) for x in a], [math.exp(x) for x in b]))


def test_a_sample_against_itself_is_indistinguishable() -> None:
    assert kolmogorov_smirnov([3.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == (0.0, 1.0)


def test_an_empty_sample_is_undefined() -> None:
    assert all(math.isnan(x) for x in kolmogorov_smirnov([], [1.0]))
