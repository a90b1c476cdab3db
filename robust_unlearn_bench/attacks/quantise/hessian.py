"""Second-order statistics of a layer's inputs, and the triangular factor that GPTQ works with.

For inputs X [tokens, features] the layer-wise loss ‖(W − Ŵ)Xᵀ‖² has the Hessian H = XᵀX (up to a factor, which cancels in
the update rule). GPTQ needs the upper triangular U with H⁻¹ = UᵀU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ColumnNorms", "Factor", "Hessian", "inverse_factor"]

DAMPING_STEPS = (1.0, 10.0, 100.0)
"""A Hessian that is not positive definite after damping is damped 10, then 100 times as much."""

STRIPE = 512
"""Rows of H that one matrix product sums up."""


def inverse_factor(matrix: Tensor, damping: Tensor) -> Tensor | None:
    """The upper triangular U with (A + diag λ)⁻¹ = UᵀU.

    With J the matrix that reverses rows, the Cholesky factorisation J(A + diag λ)J = LLᵀ gives U = J L⁻¹ J.

    Args:
        matrix: A [n, n], symmetric; only its upper triangle is read.
        damping: λ [n].

    Returns:
        U [n, n], or None where the damped matrix is not positive definite or U is not finite.

    Source: Frantar et al. 2023 (arXiv 2210.17323), section 3.3, step 3.
    Departs: the paper inverts first and factors the inverse; U straight from A is one step less, and the same up to
        rounding.
    """
    work = matrix.flip(0, 1)  # one name for all steps, so that each array is freed when the next one exists
    work.diagonal().add_(damping.flip(0))
    work, failed = torch.linalg.cholesky_ex(work)
    work = torch.linalg.solve_triangular(work, torch.eye(len(work), device=work.device, dtype=work.dtype), upper=False)
    upper = work.flip(0, 1)
    return None if bool(failed) or not bool(torch.isfinite(upper).all()) else upper


class Factor(NamedTuple):
    """The form of a Hessian that GPTQ works with.

    Attributes:
        upper: U [features, features], rows and columns in `order`; None where no damping made H positive definite.
        order: columns in the order in which they are quantised.
        damp: damping that was used, as a fraction of the mean diagonal.
        dead: number of columns that no calibration token ever excited.
    """

    upper: Tensor | None
    order: Tensor
    damp: float
    dead: int


class Hessian:
    """H = XᵀX, summed over batches.

    Beside H, its factorisation holds three more matrices of the same size at its peak, in all 1.9 GB at the widest layer
    of a 7B model (11008 columns) and 13 GB at that of a 70B model (28672 columns), less than full fine-tuning needs.

    Args:
        features: columns of X.
        device: device of the sum.
        dtype: dtype of the sum.
    """

    def __init__(self, features: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self._sum = torch.zeros(features, features, device=device, dtype=dtype)
        self._mirrored = True
        self._factor: Factor | None = None

    @classmethod
    def of(cls, matrix: Tensor) -> Hessian:
        """A known H [features, features], symmetric."""
        hessian = cls(len(matrix), matrix.device, matrix.dtype)
        hessian._sum += matrix
        return hessian

    def add(self, inputs: Tensor) -> None:
        """Add XᵀX of further inputs X [tokens, features]."""
        x = inputs.to(self._sum.dtype)
        for start in range(0, len(self._sum), STRIPE):  # H is symmetric: the part from the diagonal on is enough
            self._sum[start : start + STRIPE, start:].addmm_(x[:, start : start + STRIPE].T, x[:, start:])
        self._mirrored, self._factor = False, None

    @property
    def matrix(self) -> Tensor:
        """H [features, features]."""
        if not self._mirrored:
            for end in range(STRIPE, len(self._sum), STRIPE):
                self._sum[end:, end - STRIPE : end] = self._sum[end - STRIPE : end, end:].T
            self._mirrored = True
        return self._sum

    def energy(self, weight: Tensor) -> float:
        """‖W Xᵀ‖² = tr(W H Wᵀ), for W [rows, features]."""
        return float((weight @ self.matrix).mul_(weight).sum(dtype=torch.float64))

    def factor(self, damp: float, act_order: bool) -> Factor:
        """Damp H and factor its inverse, once for all layers that share it: (H + λI)⁻¹ = UᵀU, λ = damp · mean(diag H).

        A dead column (zero diagonal) is given the mean diagonal: with nothing off its diagonal it neither sends nor
        receives corrections. Where H is not positive definite, damping grows.

        Args:
            damp: damping as a fraction of the mean diagonal.
            act_order: whether columns with a large diagonal are quantised first.

        Returns:
            The factor; its `upper` is None where H is not finite or no damping helps.

        Source: Frantar et al. 2023 (arXiv 2210.17323), section 3.3, step 3.
        Departs: the reference code sets dead columns of W to zero.
        """
        if self._factor is None:
            self._factor = self._factored(damp, act_order)
        return self._factor

    def _factored(self, damp: float, act_order: bool) -> Factor:
        diagonal = self.matrix.diagonal().clone()
        dead, mean = diagonal == 0, diagonal.mean()
        order = torch.arange(len(diagonal), device=diagonal.device)
        if act_order:
            order = torch.argsort(diagonal, descending=True, stable=True)
        matrix = self.matrix[order][:, order] if act_order else self.matrix
        for times in DAMPING_STEPS:
            upper = inverse_factor(matrix, times * damp * mean + torch.where(dead[order], mean, 0.0))
            if upper is not None:
                break
        return Factor(upper, order, times * damp, int(dead.sum()))


class ColumnNorms:
    """‖X_j‖₂ of every input column: the square root of the Hessian's diagonal, without the rest.

    Args:
        features: columns of X.
        device: device of the sums.
    """

    def __init__(self, features: int, device: torch.device) -> None:
        self._squares = torch.zeros(features, device=device)

    def add(self, inputs: Tensor) -> None:
        """Add the squares of further inputs X [tokens, features]."""
        self._squares += inputs.float().square().sum(dim=0)

    @property
    def norms(self) -> Tensor:
        """Norm of every column, [features]."""
        return self._squares.sqrt()
