from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from robust_unlearn_bench.leaderboard.record.items import Items
from robust_unlearn_bench.leaderboard.scoring.stats import (
    SEPARATED,
    Moments,
    holm,
    number,
    paired_p_values,
    percentiles,
    ranks,
    seed_draws,
)
from robust_unlearn_bench.metrics.bootstrap import cluster_draws


def items_of(values: list[list[float]], metric: str = "m") -> Items:
    """One inner list a cluster."""
    flat = [v for cluster in values for v in cluster]
    labels = tuple(f"p{i}" for i, cluster in enumerate(values) for _ in cluster)
    hashes = tuple(f"{i:064x}" for i in range(len(flat)))
    return Items(hashes, hashes, labels, {("none", metric): tuple(flat)})


def test_replicates_are_weighted_means_by_hand() -> None:
    moments = Moments.of(items_of([[0.0, 1.0], [1.0]]), ["m"])
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    values = moments.values(weights)["none", "m"]
    np.testing.assert_allclose(values[:3], [2 / 3, 0.5, 1.0])
    assert np.isnan(values[3])


def test_unscored_documents_have_no_weight() -> None:
    base = items_of([[0.2, 0.4], [0.9]])
    items = Items(
        base.doc_hash,
        base.prompt_hash,
        base.cluster,
        {("none", "m"): (0.2, None, 0.9), ("gptq4", "m"): (1.0, 0.0, 0.5)},
    )
    point = Moments.of(items, ["m"]).point()
    assert float(point["none", "m"][0]) == pytest.approx(0.55)
    assert float(point["gptq4", "m"][0]) == pytest.approx(0.5)


def test_components_are_harmonically_averaged_and_their_clusters_resampled_apart() -> None:
    base = items_of([[0.0], [0.0], [0.0], [0.0]])
    scores = ({"a": 0.5}, {"a": 1.0}, {"b": 0.25}, {"b": 0.25})
    moments = Moments.of(Items(base.doc_hash, base.prompt_hash, base.cluster, {("none", "m"): scores}), ["m"])
    assert float(moments.point()["none", "m"][0]) == pytest.approx(2 / (1 / 0.75 + 1 / 0.25))
    assert moments.strata == ("a", "a", "b", "b")
    draws = cluster_draws(moments.clusters, moments.strata, 100, 0)
    assert (draws[:, :2].sum(axis=1) == 1).all()
    assert (draws[:, 2:].sum(axis=1) == 1).all()


def test_draws_depend_on_clusters_and_seed_alone() -> None:
    a = cluster_draws(("x", "y", "z"), ("", "", ""), 50, 7)
    b = cluster_draws(("z", "x", "y"), ("", "", ""), 50, 7)
    np.testing.assert_array_equal(a, b[:, [1, 2, 0]])
    assert not np.array_equal(a, cluster_draws(("x", "y", "z"), ("", "", ""), 50, 8))


def test_bootstrap_variance_of_a_mean_is_unbiased() -> None:
    values = np.random.default_rng(0).random(12)
    moments = Moments.of(items_of([[float(v)] for v in values]), ["m"])
    replicates = moments.values(cluster_draws(moments.clusters, moments.strata, 20_000, 0))["none", "m"]
    assert np.std(replicates) == pytest.approx(np.std(values, ddof=1) / np.sqrt(12), rel=0.02)


def test_seed_weights_sum_to_one() -> None:
    assert (seed_draws("relearn50", 1, 10, 0) == 1).all()
    np.testing.assert_allclose(seed_draws("relearn50", 3, 10, 0).sum(axis=1), 1)


def test_an_interval_that_cannot_be_known_is_blank_with_its_reason() -> None:
    assert percentiles(np.full(100, 0.3)) is None
    assert percentiles(np.array([np.nan] * 10 + [0.1] * 90)) is None
    assert number(0.3, np.full(100, 0.3)).why == "the same in every replicate"
    assert number(0.3, None).why == "no item file"
    assert number(None, None).why == "undefined"
    low, high = percentiles(np.linspace(0, 1, 1001)) or (0.0, 0.0)
    assert (low, high) == pytest.approx((0.025, 0.975))


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_paired_p_value_agrees_with_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    a = rng.random(200)
    b = a + rng.normal(0.02, 0.1, 200)
    moments = [Moments.of(items_of([[float(x)] for x in column]), ["m"]) for column in (a, b)]
    draws = cluster_draws(moments[0].clusters, moments[0].strata, 4000, 0)
    replicates = np.stack([m.values(draws)["none", "m"] for m in moments], axis=1)
    p = paired_p_values(np.array([a.mean(), b.mean()]), replicates)
    assert p[0, 1] == p[1, 0]
    assert p[0, 1] == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue, rel=0.25)
    assert p[0, 0] == 1


def test_ranks_share_a_place_until_something_separates_them() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (2000, 3))
    points = np.array([0.80, 0.795, 0.5])
    assert ranks(points, points + noise) == [1, 1, 2]
    assert ranks(points[:1], (points + noise)[:, :1]) == [1]
    certain = np.tile(points, (100, 1))
    assert ranks(points, certain) == [1, 2, 3]
    assert ranks(np.zeros(2), np.zeros((100, 2))) == [1, 1]


@pytest.mark.parametrize("copies", [1, 10, 60])
def test_near_copies_move_nobodys_rank(copies: int) -> None:
    """Sixty noisy copies of the leader pushed every row below from rank 2 to rank 62."""
    rng = np.random.default_rng(0)
    points = np.array([0.9, 0.8, 0.79, 0.6, 0.5])
    draws = points + rng.normal(0, 0.01, (2000, 5))
    before = ranks(points, draws)
    shift = rng.normal(0, 1e-3, copies)
    noisy = draws[:, :1] + shift + rng.normal(0, 1e-3, (2000, copies))
    after = ranks(np.concatenate([points, points[0] + shift]), np.concatenate([draws, noisy], axis=1))
    assert before == [1, 2, 2, 3, 4]
    assert after[:5] == before
    assert set(after[5:]) == {1}


def test_a_row_that_is_significantly_better_has_a_better_rank() -> None:
    rng = np.random.default_rng(1)
    points = rng.random(30)
    draws = points + rng.normal(0, 0.05, (1000, 30))
    found = ranks(points, draws)
    p = paired_p_values(points, draws)
    for i in range(30):
        for j in range(30):
            if points[i] > points[j] and p[i, j] <= SEPARATED:
                assert found[i] < found[j]
