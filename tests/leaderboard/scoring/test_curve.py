from __future__ import annotations

import pytest
from simulated_records import config_of

from robust_unlearn_bench.leaderboard.record.attack_id import AttackId
from robust_unlearn_bench.leaderboard.scoring.curve import Curve, curves_of, half_gap
from robust_unlearn_bench.leaderboard.scoring.measure import Cell


def attack(name: str, **more: object) -> AttackId:
    return AttackId.of(name if not more else f"{name}@0123456789ab", [config_of(name) | more])


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


def test_the_curve_is_the_leakiest_metric_and_its_area_clipped() -> None:
    leakage = {
        Cell("t", "a", "none"): -0.5, Cell("t", "b", "none"): -0.2,
        Cell("t", "a", "relearn10"): 0.4, Cell("t", "b", "relearn10"): 0.2,
        Cell("t", "a", "relearn20"): 0.6, Cell("t", "b", "relearn20"): 1.4,
    }  # fmt: skip
    (curve,) = curves_of([attack("none"), attack("relearn10"), attack("relearn20")], leakage)
    assert curve.points == ((0, -0.2), (10, 0.4), (20, 1.4))
    assert curve.area == pytest.approx((10 * 0.2 + 10 * 0.7) / 20)
    assert curve.k50 == pytest.approx(11.0)


def test_attacks_share_a_curve_when_they_differ_in_their_amount_alone() -> None:
    fast = [attack("relearn10", lr=1.0), attack("relearn20", lr=1.0)]
    attacks = [attack("none"), attack("gptq4"), attack("relearn10"), attack("relearn20_retain"), *fast]
    leakage = {Cell("t", "m", a.name): i / 10 for i, a in enumerate(attacks)}
    found = curves_of(attacks, leakage | {Cell("t", "m", fast[1].name): 0.9})
    assert [curve.points for curve in found] == [
        ((0, 0.0), (10, 0.2)),
        ((0, 0.0), (20, 0.3)),
        ((0, 0.0), (10, 0.4), (20, 0.9)),
    ]
    assert [curve.line for curve in found[:2]] == ["relearn", "relearn_retain"]
    assert found[2].line not in ("relearn", "relearn_retain")


def test_epochs_are_not_called_steps() -> None:
    attacks = [attack("none"), attack("relearn_ep1"), attack("relearn_ep3")]
    leakage = {Cell("t", "m", a.name): 0.5 for a in attacks}
    assert curves_of(attacks, leakage) == (Curve("relearn_ep", "epochs", ((0, 0.5), (1, 0.5), (3, 0.5)), 0.5, 0.0),)
