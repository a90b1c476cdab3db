"""Second-order statistics of a layer's inputs, and the triangular factor that GPTQ walks along.

For inputs X [tokens, features] the layer-wise loss ‖(W − Ŵ)Xᵀ‖² has the Hessian H = XᵀX (up to a factor, which cancels in
the update rule). GPTQ needs the upper triangular U with H⁻¹ = UᵀU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .packed import factor_inverse_, fill_lower_, spans, symmetric

__all__ = ["ColumnNorms", "Factor", "Hessian"]

DAMPING_STEPS = (1.0, 10.0, 100.0)
"""A Hessian that is not positive definite after damping is damped 10, then 100 times as much."""


class Factor(NamedTuple):
    """What GPTQ needs to know of a Hessian.

    Attributes:
        lower: Uᵀ [features, features], rows and columns in `order`, of which only the lower triangle may be read; None
            where no damping made H positive definite.
        order: columns in the order in which they are quantised.
        damp: the damping that was used, as a fraction of the mean diagonal.
        dead: columns that no calibration token ever excited.
    """

    lower: Tensor | None
    order: Tensor
    damp: float
    dead: int


class Hessian:
    """H = XᵀX in fp32, summed over batches, and the factor of its inverse in the same memory.

    Args:
        features: columns of X.
        device: where H lives.
        dtype: of the sum.
    """

    def __init__(self, features: int, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        array = torch.zeros(features, features + 1, device=device, dtype=dtype)
        self._upper, self._lower = array[:, 1:], array[:, :-1]
        self._factor: Factor | None = None

    @classmethod
    def of(cls, matrix: Tensor) -> Hessian:
        """A known H [features, features]."""
        hessian = cls(len(matrix), matrix.device, matrix.dtype)
        hessian._upper += matrix.triu()
        return hessian

    def add(self, inputs: Tensor) -> None:
        """Take in X [tokens, features]."""
        assert self._factor is None, "the factor lies where sums would go"
        x = inputs.to(self._upper.dtype)
        for start, end in spans(x.shape[1]):  # the upper half only: H is symmetric
            self._upper[start:end, start:].addmm_(x[:, start:end].T, x[:, start:])

    @property
    def matrix(self) -> Tensor:
        """H [features, features], a copy."""
        return symmetric(self._upper)

    def energy(self, weight: Tensor) -> float:
        """‖W Xᵀ‖² = tr(W H Wᵀ), for W [rows, features]."""
        total = 0.0
        for start, end in spans(weight.shape[1]):
            mine = weight[:, start:end]
            total += float((mine @ symmetric(self._upper[start:end, start:end])).mul_(mine).sum(dtype=torch.float64))
            rest = (mine @ self._upper[start:end, end:]).mul_(weight[:, end:])
            total += 2 * float(rest.sum(dtype=torch.float64))
        return total

    def factor(self, damp: float, act_order: bool) -> Factor:
        """Damp H and factor its inverse, once for all layers that share it: (H + λI)⁻¹ = UᵀU, λ = damp · mean(diag H).

        Args:
            damp: fraction of the mean diagonal.
            act_order: quantise columns with large diagonal first.

        Returns:
            The factor. A dead column (zero diagonal) is given the mean diagonal: with nothing off its diagonal it
            neither sends nor receives corrections. Where H is not positive definite, damping grows; where it is not
            finite, or no damping helps, `lower` is None.

        Source: Frantar et al. 2023, section 3.3 steps 2–3.
        Departs: U comes from H directly, not from an explicit inverse; the reference code sets dead columns of W to zero.
        """
        if self._factor is None:
            self._factor = self._factored(damp, act_order)
        return self._factor

    def _factored(self, damp: float, act_order: bool) -> Factor:
        diagonal = self._upper.diagonal().clone()
        dead = diagonal == 0
        count = int(dead.sum())
        order = torch.arange(len(diagonal), device=diagonal.device)
        if act_order:
            order = torch.argsort(diagonal, descending=True, stable=True)
        finite = all(bool(torch.isfinite(self._upper[start:end, start:]).all()) for start, end in spans(len(diagonal)))
        if not finite or count == len(diagonal):
            return Factor(None, order, damp, count)
        mean = diagonal.mean()
        for times in DAMPING_STEPS:
            fill_lower_(self._lower, self._upper, order if act_order else None)
            self._lower.diagonal().add_(times * damp * mean + torch.where(dead[order], mean, 0.0))
            if factor_inverse_(self._lower):
                return Factor(self._lower, order, times * damp, count)
        return Factor(None, order, times * damp, count)


class ColumnNorms:
    """‖X_j‖₂ of every input column: the diagonal of the Hessian, without the rest.

    Args:
        features: columns of X.
        device: where the sums live.
    """

    def __init__(self, features: int, device: torch.device) -> None:
        self._squares = torch.zeros(features, device=device)

    def add(self, inputs: Tensor) -> None:
        """Take in X [tokens, features]."""
        self._squares += inputs.float().square().sum(dim=0)

    @property
    def norms(self) -> Tensor:
        """[features]."""
        return self._squares.sqrt()
