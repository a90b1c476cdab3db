from __future__ import annotations

import math

import pytest

from robust_unlearn_bench.metrics import bootstrap
from robust_unlearn_bench.metrics.means import mean, mean_stderr, scored


def test_unscored_values_are_left_out() -> None:
    assert scored([1, None, 0]) == [1, 0]
    assert mean([1.0, None, 0.0]) == 0.5
    assert math.isnan(mean([None]))


def test_stderr_of_clusters_of_one_is_scipys() -> None:
    # scipy.stats.sem([1, 2, 4, 8]) == 1.5478479684172259
    assert mean_stderr([1.0, 2.0, None, 4.0, 8.0], range(5)) == pytest.approx(1.5478479684172259)
    assert math.isnan(mean_stderr([1.0], "a"))


def test_equal_answers_about_one_author_count_once() -> None:
    # Four authors, twenty equal answers each: the error of the four authors, not of eighty answers.
    values, authors = [x for x in (1.0, 2.0, 4.0, 8.0) for _ in range(20)], [f"author {i // 20}" for i in range(80)]
    assert mean_stderr(values, authors) == pytest.approx(1.5478479684172259)
    assert math.isnan(mean_stderr(values[:20], authors[:20]))


def test_stderr_by_hand_and_by_bootstrap_in_unequal_clusters() -> None:
    # Mean 0.6; residual sums a: −1.2, b: 0.8, c: 0.4; √(3/2 · (1.44 + 0.64 + 0.16))/5 = √3.36/5.
    values, clusters = [0.0, 0.0, 1.0, 1.0, 1.0], ["a", "a", "b", "b", "c"]
    assert mean_stderr(values, clusters) == pytest.approx(3.36**0.5 / 5)
    many = [float(i % 3 == 0) for i in range(300)]
    owners = [str(int(i**0.7)) for i in range(300)]
    drawn = bootstrap.weighted_mean(many, bootstrap.document_draws(owners, [""] * 300, replicates=4000))
    assert bootstrap.standard_error(drawn) == pytest.approx(mean_stderr(many, owners), rel=0.06)
