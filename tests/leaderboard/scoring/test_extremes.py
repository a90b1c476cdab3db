from __future__ import annotations

import numpy as np
import pytest

from robust_unlearn_bench.leaderboard.scoring.extremes import largest, smallest, spanning


def test_a_cell_that_stands_out_is_both_series() -> None:
    rng = np.random.default_rng(0)
    points = np.array([0.1, 0.8, 0.2])
    draws = points[:, None] + rng.normal(0, 0.02, (3, 500))
    worst = largest(points, draws)
    assert (worst.index, worst.point) == (1, 0.8)
    assert worst.fixed is not None
    assert worst.tied is not None
    np.testing.assert_array_equal(worst.fixed, draws[1])
    np.testing.assert_allclose(worst.tied, draws[1])


def test_equal_cells_compete_and_the_shift_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    points = np.full(10, 0.5)
    draws = points[:, None] + rng.normal(0, 0.05, (10, 4000))
    worst = largest(points, draws)
    assert worst.tied is not None
    assert worst.tied.mean() == pytest.approx(0.5 + 0.05 * 1.539, abs=0.005)  # E max of 10 standard normals = 1.539
    shown = spanning(0.5, worst.fixed, worst.tied)
    assert shown.low is not None
    assert shown.low < 0.5 - 0.05 * 1.539


def test_smallest_mirrors_largest() -> None:
    rng = np.random.default_rng(0)
    points = np.array([0.3, 0.25, 0.9])
    draws = points[:, None] + rng.normal(0, 0.05, (3, 200))
    low, high = smallest(points, draws), largest(-points, -draws)
    assert (low.index, low.point) == (high.index, -high.point) == (1, 0.25)
    assert low.tied is not None
    assert high.tied is not None
    np.testing.assert_array_equal(low.tied, -high.tied)


def test_without_items_there_is_a_point_and_a_reason() -> None:
    worst = largest(np.array([0.1, 0.4]), None)
    assert (worst.point, worst.fixed) == (0.4, None)
    assert spanning(0.4, None, None).why == "no item file"


def test_interval_holds_the_point_and_stays_in_range() -> None:
    rng = np.random.default_rng(0)
    shown = spanning(0.98, rng.normal(0.98, 0.05, 500), rng.normal(0.99, 0.05, 500))
    assert shown.low is not None
    assert shown.high is not None
    assert 0 <= shown.low <= 0.98 <= shown.high <= 1
