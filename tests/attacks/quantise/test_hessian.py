from __future__ import annotations

import torch

from robust_unlearn_bench.attacks.quantise.hessian import ColumnNorms, Factor, Hessian
from robust_unlearn_bench.attacks.quantise.packed import BLOCK as STRIPE


def _inputs(tokens: int, features: int) -> torch.Tensor:
    return torch.randn(tokens, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def upper(factor: Factor) -> torch.Tensor:
    """U as a matrix of its own."""
    assert factor.lower is not None
    return factor.lower.tril().T


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
    for _ in range(2):
        hessian.add(x)
        assert torch.equal(hessian.matrix, hessian.matrix.T)
    torch.testing.assert_close(hessian.matrix, 2 * x.T @ x)


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


def test_hopeless_matrices_have_no_factor() -> None:
    assert Hessian.of(torch.full((3, 3), torch.inf)).factor(0.01, act_order=False).lower is None
    assert Hessian.of(torch.tensor([[1.0, 9.0], [9.0, 1.0]])).factor(0.01, act_order=False).lower is None
    dead = Hessian.of(torch.zeros(3, 3)).factor(0.01, act_order=False)
    assert (dead.lower, dead.dead) == (None, 3)
