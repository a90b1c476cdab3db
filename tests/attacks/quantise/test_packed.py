"""Two triangles in one array: neither sees the other, and the factor is the textbook's."""

from __future__ import annotations

import pytest
import torch

from robust_unlearn_bench.attacks.quantise import packed
from robust_unlearn_bench.attacks.quantise.packed import factor_inverse_, fill_lower_, spans, symmetric


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "BLOCK", 4)


def positive(n: int) -> torch.Tensor:
    x = torch.randn(3 * n, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    return x.T @ x


def packed_array(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    array = torch.full((len(matrix), len(matrix) + 1), torch.nan, dtype=matrix.dtype)
    upper = array[:, 1:]
    upper.copy_(torch.where(torch.ones_like(matrix).triu().bool(), matrix, torch.nan))
    return upper, array[:, :-1]


def test_spans() -> None:
    assert list(spans(9)) == [(0, 4), (4, 8), (8, 9)]


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11])  # less than a block, whole blocks, blocks and a rest
def test_the_inverse_factor_of_every_size(n: int) -> None:
    a = positive(n)
    upper, lower = packed_array(a)
    fill_lower_(lower, upper, None)
    assert torch.equal(lower.tril(), a.tril())
    assert factor_inverse_(lower)
    assert torch.equal(symmetric(upper), a)  # bit for bit untouched
    factor = lower.tril()
    torch.testing.assert_close(factor @ factor.T, a.inverse())
    torch.testing.assert_close(factor, torch.linalg.cholesky(a.inverse()))  # which is unique


def test_rows_and_columns_in_another_order() -> None:
    a, order = positive(9), torch.tensor([3, 0, 8, 1, 7, 2, 6, 5, 4])
    upper, lower = packed_array(a)
    fill_lower_(lower, upper, order)
    assert torch.equal(lower.tril(), a[order][:, order].tril())
    assert torch.equal(symmetric(upper), a)


@pytest.mark.parametrize("at", [0, 5, 8])
def test_a_matrix_that_is_not_positive_definite_is_told(at: int) -> None:
    a = positive(9)
    a[at, at] = -1
    upper, lower = packed_array(a)
    fill_lower_(lower, upper, None)
    assert not factor_inverse_(lower)
    assert torch.equal(symmetric(upper), a)
