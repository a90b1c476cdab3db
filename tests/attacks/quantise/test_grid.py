from __future__ import annotations

import pytest
import torch

from robust_unlearn_bench.attacks.quantise.grid import Grid, distinct_values
from robust_unlearn_bench.errors import ConfigError


def test_symmetric_grid_by_hand() -> None:
    # max|w| = 7.5 over 15 levels: step 1, levels -8..7; 7.5 rounds to 8 (half to even) and is clipped to 7.
    row = torch.tensor([[-7.5, 7.5, 0.4, -0.6, 6.4]])
    assert Grid(4, -1).round(row).tolist() == [[-8.0, 7.0, 0.0, -1.0, 6.0]]


def test_asymmetric_grid_by_hand() -> None:
    # -1..14 over 15 levels: step 1, low -1, high 14.
    row = torch.tensor([[-1.0, 14.0, 13.6, 0.2]])
    assert Grid(4, -1, symmetric=False).round(row).tolist() == [[-1.0, 14.0, 14.0, 0.0]]


def test_asymmetric_grid_keeps_zero_when_all_weights_are_positive() -> None:
    row = torch.tensor([[3.0, 1.4, 0.1]])  # range is taken as 0..3: step 1 at 2 bits
    assert Grid(2, -1, symmetric=False).round(row).tolist() == [[3.0, 1.0, 0.0]]


def test_groups_have_their_own_step_and_the_last_may_be_shorter() -> None:
    row = torch.tensor([[1.5, -1.5, 1.0, 150.0, -150.0, 100.0, 0.015]])
    rounded = Grid(2, 3).round(row)[0]
    # 2 bits: step 2·max/3, levels -2..1: steps 1, 100 and 0.01 for groups of 3, 3 and 1 columns.
    assert rounded.tolist() == pytest.approx([1.0, -2.0, 1.0, 100.0, -200.0, 100.0, 0.01])


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_group_of_zeros_stays_zero(symmetric: bool) -> None:
    assert torch.equal(Grid(4, 4, symmetric).round(torch.zeros(3, 8)), torch.zeros(3, 8))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounding_is_idempotent_on_the_same_scale_and_no_further_than_clipping_allows(
    bits: int, symmetric: bool
) -> None:
    columns = torch.randn(32, 5, generator=torch.Generator().manual_seed(0))
    scale = Grid(bits, 32, symmetric).fit(columns)
    snapped = scale.snap(columns)
    assert torch.equal(scale.snap(snapped), snapped)
    # Symmetric rounding clips at most a whole step (max|w| = high + half a step, and the tie goes up).
    assert bool(((columns - snapped).abs() <= scale.step * 1.0001).all())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_more_than_two_to_the_b_values_in_a_group(bits: int) -> None:
    weight = torch.rand(16, 8192, generator=torch.Generator().manual_seed(0))
    assert distinct_values(Grid(bits, 4096, symmetric=False).round(weight), 4096) == 2**bits


def test_distinct_values_counts_the_richest_group() -> None:
    weight = torch.tensor([[1.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert distinct_values(weight, 2) == 2
    assert distinct_values(weight, 3) == 2
    assert distinct_values(weight, 5) == 4


@pytest.mark.parametrize(("bits", "group"), [(1, 128), (9, 128), (4, 0), (4, -2)])
def test_impossible_grids_are_refused(bits: int, group: int) -> None:
    with pytest.raises(ConfigError, match=r"bits=|group_size="):
        Grid(bits, group)
