"""The b-bit integer grid that GPTQ and RTN round to.

A value w is stored as an integer k and read back as step·k, low ≤ k ≤ high, with one (step, low, high) for each row of
each group of consecutive columns:

    symmetric    step = 2·max|w| / (2^b − 1),    low = −2^(b−1),               high = low + 2^b − 1
    asymmetric   step = (max − min) / (2^b − 1), low = −round(−min / step),    high = low + 2^b − 1
                 with min ≤ 0 ≤ max, so that zero stays exact

A group of `size` columns; `size` = −1, or not smaller than the row, makes the whole row one group; where `size` does
not divide the row, the last group is shorter.

Source: Frantar et al. 2023 (arXiv 2210.17323) and the quantiser of its reference code, as in AutoGPTQ.
Departs: a group whose weights all have one sign gets the same symmetric step as any other (the reference code halves the
step there and clips); steps are fp32, where packed formats store fp16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import ConfigError

__all__ = ["Grid", "Scale", "distinct_values"]


class Scale(NamedTuple):
    """Grid of one group of columns.

    Attributes:
        step: distance between neighbouring values, [rows].
        low: smallest level, a whole number, [rows].
        high: largest level, a whole number, [rows].
    """

    step: Tensor
    low: Tensor
    high: Tensor

    def snap(self, values: Tensor) -> Tensor:
        """Nearest grid value of each entry of `values` [..., rows]."""
        return (values / self.step).round_().clamp_(self.low, self.high).mul_(self.step)


@dataclass(frozen=True, slots=True)
class Grid:
    """Number of levels, and the choice of steps.

    Attributes:
        bits: number of bits, 2 to 8.
        group_size: number of columns that share a step; −1 for the whole row.
        symmetric: whether the step is taken from max|w| rather than from max − min.
    """

    bits: int
    group_size: int = 128
    symmetric: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ConfigError(f"bits={self.bits} is not supported: choose 2 to 8")
        if self.group_size < 1 and self.group_size != -1:
            raise ConfigError(f"group_size={self.group_size} is not possible: give columns per group, or -1 for a row")

    def group(self, columns: int) -> int:
        """Number of columns in a group, for rows of `columns` entries."""
        return columns if self.group_size == -1 else min(self.group_size, columns)

    def fit(self, values: Tensor) -> Scale:
        """Scale of one group.

        Args:
            values: weights of the group, [columns, rows], fp32.
        """
        levels = 2**self.bits - 1
        if self.symmetric:
            most = values.abs().amax(dim=0)
            least = -most
        else:
            most = values.amax(dim=0).clamp(min=0)
            least = values.amin(dim=0).clamp(max=0)
        step = (most - least) / levels
        step = torch.where(step > 0, step, 1.0)  # a group of zeros
        low = torch.full_like(step, -(2.0 ** (self.bits - 1))) if self.symmetric else (least / step).round()
        return Scale(step, low, low + levels)

    def round(self, weight: Tensor) -> Tensor:
        """Round to nearest (RTN): `weight` [rows, columns] to grid values of the same shape in fp32."""
        columns = weight.float().T
        return torch.cat([self.fit(part).snap(part) for part in torch.split(columns, self.group(len(columns)))]).T


def distinct_values(weight: Tensor, group: int) -> int:
    """Largest number of distinct values that any row has within any group of consecutive columns.

    Args:
        weight: W [rows, columns].
        group: number of columns in a group.
    """
    most = 0
    for part in torch.split(weight, group, dim=1):
        ordered = part.sort(dim=1).values
        most = max(most, int((ordered[:, 1:] != ordered[:, :-1]).sum(dim=1).amax()) + 1)
    return most
