from __future__ import annotations

import numpy as np
import pytest

from robust_unlearn_bench.metrics import bootstrap, membership
from robust_unlearn_bench.metrics.utility import harmonic_mean

RNG = np.random.default_rng(7)


def names(n: int) -> list[str]:
    """Clusters of one document each."""
    return [f"passage {i}" for i in range(n)]


def test_strata_are_drawn_apart_one_cluster_short_and_seeds_their_draws() -> None:
    strata = ["forget"] * 7 + ["holdout"] * 4
    counts = bootstrap.document_draws(names(11), strata, replicates=50, seed=3)
    assert counts.shape == (50, 11)
    assert (counts[:, :7].sum(axis=1) == 6).all()
    assert (counts[:, 7:].sum(axis=1) == 3).all()
    assert (counts == bootstrap.document_draws(names(11), strata, replicates=50, seed=3)).all()
    assert (counts != bootstrap.document_draws(names(11), strata, replicates=50, seed=4)).any()


def test_draws_follow_the_documents_into_another_order() -> None:
    clusters, strata = ["a", "b", "a", "c", "d", "d"], ["x", "x", "x", "x", "y", "y"]
    counts = bootstrap.document_draws(clusters, strata, replicates=20)
    turned = bootstrap.document_draws(clusters[::-1], strata[::-1], replicates=20)
    assert (counts == turned[:, ::-1]).all()


def test_members_of_a_cluster_are_drawn_together() -> None:
    clusters = ["a", "b", "a", "c", "b", "a"]
    counts = bootstrap.document_draws(clusters, [""] * 6, replicates=20)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, 0] == counts[:, 5]).all()
    assert (counts[:, 1] == counts[:, 4]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 2).all()


def test_weighted_statistics_equal_those_of_the_repeated_items() -> None:
    forget, holdout = RNG.integers(0, 5, 6).astype(float), RNG.integers(0, 5, 5).astype(float)
    counts = bootstrap.document_draws(names(11), ["0"] * 6 + ["1"] * 5, replicates=30)
    aucs = bootstrap.weighted_auc(forget, holdout, counts[:, :6], counts[:, 6:])
    means = bootstrap.weighted_mean(forget, counts[:, :6])
    for row, auc, mean in zip(counts.astype(int), aucs, means, strict=True):
        drawn = np.repeat(forget, row[:6])
        assert auc == pytest.approx(membership.auc(drawn, np.repeat(holdout, row[6:])))
        assert mean == pytest.approx(drawn.mean())


def test_harmonic_means_equal_the_plain_one_row_by_row() -> None:
    components = [RNG.uniform(0.1, 1, 8) for _ in range(3)]
    components[1][2] = 0.0
    got = bootstrap.harmonic_means(np.stack(components, axis=1))
    assert got == pytest.approx([harmonic_mean(row) for row in zip(*components, strict=True)])


def test_standard_error_of_a_mean_is_the_textbook_one() -> None:
    values = RNG.normal(size=400)
    counts = bootstrap.document_draws(names(400), [""] * 400, replicates=4000)
    error = bootstrap.standard_error(bootstrap.weighted_mean(values, counts))
    # Textbook s/√n; the bootstrap's own relative error with 4,000 replicates is 1/√8000 ≈ 1.1 %.
    assert error == pytest.approx(values.std(ddof=1) / 20, rel=0.04)


def test_standard_error_of_an_auc_without_signal_is_hanley_and_mcneils() -> None:
    n = m = 60
    scores = RNG.normal(size=n + m)
    auc = membership.auc(scores[:n], scores[n:])
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    expected = np.sqrt((auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (m - 1) * (q2 - auc**2)) / (n * m))
    counts = bootstrap.document_draws(names(n + m), ["0"] * n + ["1"] * m)
    got = bootstrap.standard_error(bootstrap.weighted_auc(scores[:n], scores[n:], counts[:, :n], counts[:, n:]))
    assert got == pytest.approx(expected, rel=0.1)


def test_a_statistic_at_its_bound_has_no_known_error() -> None:
    counts = bootstrap.document_draws(names(6), ["0"] * 3 + ["1"] * 3)
    aucs = bootstrap.weighted_auc([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], counts[:, :3], counts[:, 3:])
    assert (aucs == 0).all()
    assert np.isnan(bootstrap.standard_error(aucs))


def test_undefined_replicates_are_left_out() -> None:
    assert bootstrap.standard_error(np.array([1.0, np.nan, 3.0])) == pytest.approx(np.sqrt(2))
    assert np.isnan(bootstrap.standard_error(np.array([1.0, np.nan])))
