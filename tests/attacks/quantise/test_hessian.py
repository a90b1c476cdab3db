from __future__ import annotations

import pytest
import torch

from robust_unlearn_bench.attacks.quantise.hessian import STRIPE, ColumnNorms, Factor, Hessian, inverse_factor


def _inputs(tokens: int, features: int) -> torch.Tensor:
    return torch.randn(tokens, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def upper(factor: Factor) -> torch.Tensor:
    assert factor.upper is not None
    return factor.upper


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_inverse_factor_equals_the_papers_three_steps(n: int) -> None:
    x = _inputs(3 * n, n)
    matrix, damping = x.T @ x, torch.arange(1.0, n + 1, dtype=x.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix + damping.diag()))
    expected = torch.linalg.cholesky(inverse, upper=True)  # unique, as its diagonal is positive
    torch.testing.assert_close(inverse_factor(matrix, damping), expected)
    torch.testing.assert_close(inverse_factor(matrix.triu(), damping), expected)


@pytest.mark.parametrize("at", [0, 5, 8])
def test_a_matrix_that_is_not_positive_definite_has_no_inverse_factor(at: int) -> None:
    x = _inputs(27, 9)
    matrix = x.T @ x
    matrix[at, at] = -1
    assert inverse_factor(matrix, torch.zeros(9)) is None


def test_hessian_sums_over_batches() -> None:
    x = _inputs(10, 4).float()
    hessian, norms = Hessian(4, x.device), ColumnNorms(4, x.device)
    for part in (x[:3], x[3:]):
        hessian.add(part)
        norms.add(part)
    torch.testing.assert_close(hessian.matrix, x.T @ x)
    torch.testing.assert_close(norms.norms, x.norm(dim=0))


def test_only_half_of_a_wide_hessian_is_computed_and_the_other_half_mirrored() -> None:
    x = _inputs(7, STRIPE + 60).float()
    hessian = Hessian(STRIPE + 60, x.device)
    for times in (1, 2):  # a sum that was read goes on
        hessian.add(x)
        torch.testing.assert_close(hessian.matrix, times * x.T @ x)
        assert torch.equal(hessian.matrix[STRIPE:, :STRIPE], hessian.matrix[:STRIPE, STRIPE:].T)


def test_energy_is_the_squared_output_norm() -> None:
    x, weight = _inputs(10, 4).float(), _inputs(3, 4).float()
    hessian = Hessian(4, x.device)
    hessian.add(x)
    assert abs(hessian.energy(weight) / float((x @ weight.T).square().sum()) - 1) < 1e-5


def test_factor_is_upper_triangular_and_inverts_the_damped_hessian() -> None:
    x = _inputs(40, 6)
    h = x.T @ x
    factor = Hessian.of(h).factor(0.01, act_order=False)
    damped = h + 0.01 * h.diagonal().mean() * torch.eye(6, dtype=h.dtype)
    torch.testing.assert_close(upper(factor), upper(factor).triu())
    torch.testing.assert_close(upper(factor).T @ upper(factor), damped.inverse())
    assert (factor.damp, factor.dead) == (0.01, 0)


def test_act_order_sorts_by_the_diagonal() -> None:
    x = _inputs(40, 5) * torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0], dtype=torch.float64)
    h = x.T @ x
    factor = Hessian.of(h).factor(0.01, act_order=True)
    assert factor.order.tolist() == [1, 3, 4, 2, 0]
    damped = (h + 0.01 * h.diagonal().mean() * torch.eye(5, dtype=h.dtype))[factor.order][:, factor.order]
    torch.testing.assert_close(upper(factor).T @ upper(factor), damped.inverse())


def test_a_dead_column_exchanges_nothing_with_the_others() -> None:
    x = _inputs(40, 4)
    x[:, 2] = 0
    factor = Hessian.of(x.T @ x).factor(0.01, act_order=False)
    assert factor.dead == 1
    off = upper(factor) - upper(factor).diagonal().diag()
    assert float(off[2].abs().max()) == float(off[:, 2].abs().max()) == 0.0


def test_rank_deficient_hessian_needs_no_more_than_the_asked_damping() -> None:
    x = _inputs(3, 8)
    factor = Hessian.of(x.T @ x).factor(0.01, act_order=False)
    assert factor.damp == 0.01


def test_damping_grows_until_the_matrix_is_positive_definite() -> None:
    indefinite = torch.diag(torch.tensor([1.0, 1.0, -0.05], dtype=torch.float64))  # mean .65: needs λ > .05
    factor = Hessian.of(indefinite).factor(0.01, act_order=False)
    assert factor.damp == 0.1


def test_further_inputs_give_a_new_factor() -> None:
    x, more = _inputs(40, 6), _inputs(20, 6)
    hessian = Hessian(6, x.device, x.dtype)
    hessian.add(x)
    first = hessian.factor(0.01, act_order=False)
    assert hessian.factor(0.01, act_order=False) is first
    hessian.add(more)
    h = x.T @ x + more.T @ more
    torch.testing.assert_close(upper(hessian.factor(0.01, False)), upper(Hessian.of(h).factor(0.01, False)))


def test_hopeless_matrices_have_no_factor() -> None:
    assert Hessian.of(torch.full((3, 3), torch.inf)).factor(0.01, act_order=False).upper is None
    assert Hessian.of(torch.tensor([[1.0, 9.0], [9.0, 1.0]])).factor(0.01, act_order=False).upper is None
    dead = Hessian.of(torch.zeros(3, 3)).factor(0.01, act_order=False)
    assert (dead.upper, dead.dead) == (None, 3)
