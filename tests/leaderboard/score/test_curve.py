from __future__ import annotations

import pytest

from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.score.curve import curves_of, family_of, half_gap
from robust_unlearn_bench.leaderboard.score.measure import Cell


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        ("relearn50", ("relearn", 50)),
        ("relearn_const25", ("relearn_const", 25)),
        ("relearn20_retain", ("relearn_retain", 20)),
        ("relearn_ep3", ("relearn_ep", 3)),
        ("lora_relearn50", ("lora_relearn", 50)),
        ("finetune100", ("finetune", 100)),
        ("gptq4", None),
        ("none", None),
        ("relearn50+gptq4", None),
    ],
)
def test_families(attack: str, expected: tuple[str, int] | None) -> None:
    assert family_of(attack) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0.0), (10, 0.25), (20, 0.75)], 15.0),
        ([(0, 0.0), (50, 0.4)], None),
        ([(0, 0.6), (10, 0.9)], 0.0),
        ([(0, 0.1), (10, 0.5)], 10.0),
        ([(0, 0.0), (10, 0.8), (20, 0.1)], 6.25),
    ],
)
def test_half_gap_by_hand(points: list[tuple[int, float]], expected: float | None) -> None:
    assert half_gap(points) == (None if expected is None else pytest.approx(expected))


def test_the_curve_is_the_leakiest_metric_and_its_area_clipped(cast: dict[str, Entry]) -> None:
    leakage = {
        Cell("t", "a", "none"): -0.5, Cell("t", "b", "none"): -0.2,
        Cell("t", "a", "relearn10"): 0.4, Cell("t", "b", "relearn10"): 0.2,
        Cell("t", "a", "relearn20"): 0.6, Cell("t", "b", "relearn20"): 1.4,
    }  # fmt: skip
    (curve,) = curves_of(cast["adam"].record, leakage)
    assert curve.points == ((0, -0.2), (10, 0.4), (20, 1.4))
    assert curve.area == pytest.approx((10 * 0.2 + 10 * 0.7) / 20)
    assert curve.k50 == pytest.approx(11.0)
