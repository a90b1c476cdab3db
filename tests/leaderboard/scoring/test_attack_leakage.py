"""Leakage of one attack on one half of the clusters, against numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.items import Items
from robust_unlearn_bench.leaderboard.scoring.attack_leakage import REPORTS, SELECTS, Reading, kept, leaks, worst
from robust_unlearn_bench.leaderboard.scoring.stats import Moments

CLUSTERS = tuple(f"p{i}" for i in range(20))
METRIC = ("t", "m")


def halves() -> np.ndarray:
    blank = Items(CLUSTERS, CLUSTERS, CLUSTERS, {("run", "m"): (0.0,) * 20})
    return Moments.of(blank, ["m"]).halves()


def reading(
    selects: float | None, reports: float | None, docs: tuple[str, ...] = CLUSTERS, wobble: float = 0.01
) -> Reading:
    """The same value on every document of a half, up to a wobble that averages out."""
    first = halves()[SELECTS]
    values: list[float | None] = []
    for half in (first, 1 - first):
        assert half.sum() == 10
    place = [0, 0]
    for i in range(20):
        side = 0 if first[i] else 1
        level = (selects, reports)[side]
        values.append(None if level is None else level + (wobble if place[side] % 2 else -wobble))
        place[side] += 1
    return Reading({"t": Items(docs, docs, docs, {("run", "m"): tuple(values)})}, "run")


def found(model, retrain, target=(0.9, 0.9), untouched=(0.1, 0.1), half=REPORTS):
    (leak,) = leaks([METRIC], *(reading(*pair) for pair in (model, retrain, target, untouched)), half)
    return leak


def test_each_half_is_read_on_its_own() -> None:
    """(.5 − .1) / (.9 − .1) = .5 where the attack was selected, (.26 − .1) / (.9 − .1) = .2 where it is reported."""
    states = {"model": (0.5, 0.26), "retrain": (0.1, 0.1)}
    assert found(**states, half=SELECTS).leakage.value == pytest.approx(0.5)
    leak = found(**states, half=REPORTS)
    assert leak.leakage.value == pytest.approx(0.2)
    assert (leak.model, leak.retrain, leak.target) == pytest.approx((0.26, 0.1, 0.9))
    assert leak.counts


def test_what_the_attack_teaches_the_retrain_model_is_not_leakage() -> None:
    assert found(model=(0.3, 0.3), retrain=(0.3, 0.3)).leakage.value == pytest.approx(0.0)


def test_a_retrain_model_that_has_learnt_the_text_says_nothing() -> None:
    """Half of the gap lies at .1 + .4 = .5."""
    assert found(model=(0.9, 0.9), retrain=(0.49, 0.49)).counts
    leak = found(model=(0.9, 0.9), retrain=(0.52, 0.52))
    assert not leak.counts
    assert leak.leakage.why == "the retrain model has learnt the text"
    assert worst([leak]) is None


def test_a_gap_within_the_noise_says_nothing() -> None:
    low, noisy = reading(0.1, 0.1), reading(0.12, 0.12, wobble=0.1)
    (leak,) = leaks([METRIC], reading(0.9, 0.9), low, noisy, low, REPORTS)
    assert (leak.counts, leak.leakage.why) == (False, "target and retrain are too close")


def test_documents_that_the_attack_was_shown_are_left_out_for_everybody() -> None:
    """The target's level on the unscored documents must not enter its mean."""
    docs = dict(model=(0.5, None), retrain=(0.1, None))
    assert found(**docs, half=SELECTS).leakage.value == pytest.approx(0.5)
    leak = found(**docs, half=REPORTS)
    assert (leak.model, leak.counts, leak.leakage.why) == (None, False, "not scored")


def test_the_worst_is_the_largest_that_counts() -> None:
    leaks_ = [found(model=(x, x), retrain=(0.1, 0.1)) for x in (0.2, 0.6, 0.4)]
    top = worst([*leaks_, found(model=(0.9, 0.9), retrain=(0.6, 0.6))])
    assert top is leaks_[1]


def test_utility_kept_is_relative_to_the_unattacked_model_and_its_floor() -> None:
    """(.65 − .25) / (.75 − .25) = .8."""
    share = kept({METRIC: 0.25}, reading(0.65, 0.65), reading(0.75, 0.75))
    assert share.value == pytest.approx(0.8)
    assert kept({METRIC: 0.25}, reading(0.8, 0.8), reading(0.75, 0.75)).value == 1.0
    assert kept({METRIC: 0.25}, reading(None, None), reading(0.75, 0.75)).value == 0.0
    assert kept({METRIC: 0.25}, reading(0.2, 0.2), reading(0.24, 0.24)).value is None


def test_other_documents_are_refused() -> None:
    states = [reading(0.5, 0.5), reading(0.1, 0.1, tuple(f"q{i}" for i in range(20)))]
    with pytest.raises(RecordError, match="different documents"):
        leaks([METRIC], states[0], states[1], reading(0.9, 0.9), reading(0.1, 0.1), REPORTS)
