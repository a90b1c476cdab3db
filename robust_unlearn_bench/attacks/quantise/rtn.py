"""RTN: round every linear layer of the decoder blocks to the nearest value of a b-bit grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..attack import ATTACKS, AttackContext, AttackDefaults
from ..data_free_rewrite import rewrite_linears
from .grid import Grid, distinct_values

__all__ = ["RTN"]


@ATTACKS.register("rtn", label="rtn{bits}")
@dataclass(frozen=True, slots=True)
class RTN(AttackDefaults):
    """Round to nearest on the same grid as GPTQ, in place; needs no data.

    Attributes:
        bits: number of bits, 2 to 8.
        group_size: number of columns that share a step; −1 for the whole row (see `grid`).
        symmetric: whether the grid is symmetric around zero.

    Source: the baseline of Frantar et al. 2023 (arXiv 2210.17323), section 4.
    Departs: steps are fp32, not fp16.
    Cost: no passes; one layer in fp32 beyond the model.
    """

    name: ClassVar[str] = "rtn"

    bits: int = 4
    group_size: int = 128
    symmetric: bool = True

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: a value is out of range.
        """
        Grid(self.bits, self.group_size, self.symmetric)

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Quantise the model in place.

        Returns:
            Number of layers, mean ‖ΔW‖/‖W‖ per tensor class, effective bits, perplexities, fallbacks and flags.

        Raises:
            ModelError: the weights cannot be quantised.
        """
        grid = Grid(self.bits, self.group_size, self.symmetric)
        distinct = [1]

        def rounded(weight: Tensor) -> Tensor:
            new = grid.round(weight).to(weight.dtype)
            distinct.append(distinct_values(new, grid.group(weight.shape[1])))
            return new

        report = rewrite_linears(model, context, rounded, f"rtn{self.bits} layers", quantises=True)
        return {"effective_bits": math.log2(max(distinct)), **report}
