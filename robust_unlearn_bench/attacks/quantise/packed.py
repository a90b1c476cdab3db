"""A symmetric matrix and the factor of its inverse in one array: what GPTQ holds is the largest layer's H, and nothing else.

A symmetric H and a triangle of the same size fit into n rows of n + 1 numbers, both with their diagonals:

    array[:, 1:]   upper triangle: H
    array[:, :n]   lower triangle: a copy of H, then the factor

Neither view reads or writes the other's triangle, so everything here works in blocks, and touches blocks on the diagonal
through a mask.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["BLOCK", "factor_inverse_", "fill_lower_", "spans", "symmetric"]

BLOCK = 512
"""Rows and columns of a block."""


def spans(count: int) -> Iterator[tuple[int, int]]:
    """Consecutive (start, end) of at most `BLOCK`."""
    return ((start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def symmetric(upper: Tensor) -> Tensor:
    """The whole of a symmetric matrix, from its upper triangle; the other one is not read."""
    half = upper.triu()
    return half + half.triu(1).T


def fill_lower_(lower: Tensor, upper: Tensor, order: Tensor | None) -> None:
    """Copy the upper triangle, transposed, into the lower one.

    Args:
        lower: view whose lower triangle is written.
        upper: view whose upper triangle is read.
        order: rows and columns are taken in this order, or None for their own.
    """
    for start, end in spans(len(lower)):
        if order is None:
            lower[start:end, :start] = upper[:start, start:end].T
            block = symmetric(upper[start:end, start:end])
        else:
            rows, columns = order[start:end, None], order[None, :end]
            found = upper[torch.minimum(rows, columns), torch.maximum(rows, columns)]
            lower[start:end, :start] = found[:, :start]
            block = found[:, start:]
        _write(lower[start:end, start:end], block)


def factor_inverse_(lower: Tensor) -> bool:
    """In place: the lower triangle of A becomes Uᵀ, where A⁻¹ = UᵀU and U is upper triangular.

    First A = MᵀM with M lower triangular, block row after block row from the last one up (a Cholesky factorisation that
    starts at the other end); then Uᵀ = M⁻¹ from the first one down.

    Args:
        lower: [n, n], positive definite; only its lower triangle is read and written.

    Returns:
        Whether A was positive definite and Uᵀ is finite; if not, the triangle is spoilt.
    """
    for start, end in reversed(list(spans(len(lower)))):
        reversed_block = symmetric(lower[start:end, start:end].T).flip(0, 1)
        root, failed = torch.linalg.cholesky_ex(reversed_block)
        identity = torch.eye(end - start, device=lower.device, dtype=lower.dtype)
        inverse = torch.linalg.solve_triangular(root, identity, upper=False).flip(0, 1).T
        if bool(failed) or not bool(torch.isfinite(inverse).all()):
            return False
        _write(lower[start:end, start:end], inverse)
        row = inverse.T @ lower[start:end, :start]
        lower[start:end, :start] = row
        for left, right in spans(start):
            part = row[:, left:right].T
            lower[left:right, :left].addmm_(part, row[:, :left], alpha=-1)
            lower[left:right, left:right] -= (part @ row[:, left:right]).tril()
    for start, end in spans(len(lower)):
        row = lower[start:end, start:end].tril() @ lower[start:end, :start]
        for left, right in spans(start):
            part = row[:, left:right] @ lower[left:right, left:right].tril()
            lower[start:end, left:right] = part.addmm_(row[:, right:], lower[right:start, left:right]).neg_()
            if not bool(torch.isfinite(part).all()):
                return False
    return True


def _write(block: Tensor, values: Tensor) -> None:
    """Copy the lower triangle of `values`, with its diagonal, into a block on the diagonal."""
    mask = torch.ones_like(block, dtype=torch.bool).tril_()
    block.copy_(torch.where(mask, values, block))
