"""Pruning: set the least important weights of every linear layer of the decoder blocks to zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor

from ...errors import ConfigError, UnknownNameError
from ...models.decoder import Linear, decoder_linears, other_matrices, sparsity
from ..attack import ATTACKS, AttackContext, AttackDefaults
from ..blockwise import walk
from ..calibration import CalibrationText, calibrate, check_text, probe
from ..damage import Damage
from ..data_free_rewrite import rewrite_linears
from ..quantise.hessian import ColumnNorms

__all__ = ["Prune", "magnitude_pruned", "wanda_pruned"]

Method = Literal["wanda", "magnitude"]


def wanda_pruned(weight: Tensor, norms: Tensor, fraction: float) -> Tensor:
    """Zero, in every row, the ⌊fraction · columns⌋ weights with the smallest |W_ij| · ‖X_j‖₂.

    Args:
        weight: W [rows, columns].
        norms: ‖X_j‖₂ over the calibration tokens, [columns].
        fraction: fraction of the weights of a row to remove, in [0, 1].

    Returns:
        Pruned copy of W.

    Source: Sun et al. 2024 (arXiv 2306.11695), equation (1), compared per output row.
    """
    count = _floor(weight.shape[1] * fraction)
    order = (weight.float().abs() * norms).argsort(dim=1, stable=True)
    return weight.scatter(1, order[:, :count], 0.0)


def magnitude_pruned(weight: Tensor, fraction: float) -> Tensor:
    """Zero the ⌊fraction · entries⌋ weights of the matrix with the smallest |W_ij|.

    Args:
        weight: W [rows, columns].
        fraction: fraction of the weights to remove, in [0, 1].

    Returns:
        Pruned copy of W.

    Source: the magnitude baseline of Sun et al. 2024 (arXiv 2306.11695), compared within a layer.
    """
    flat = weight.flatten()
    order = flat.abs().argsort(stable=True)
    return flat.index_fill(0, order[: _floor(len(flat) * fraction)], 0.0).view_as(weight)


def _floor(count: float) -> int:
    return math.floor(count + 1e-6)  # 0.29 · 100 is 28.999…


@ATTACKS.register("prune", label="prune{percent}")
@dataclass(frozen=True, slots=True)
class Prune(AttackDefaults):
    """Unstructured pruning in place, of every Linear of the decoder blocks, not embeddings or head.

    `method=wanda` zeroes, in every row, the `percent` % of weights with the smallest |W_ij|·‖X_j‖₂, X being the inputs of
    the block before any of its layers is pruned; `method=magnitude` the `percent` % of each matrix with the smallest
    |W_ij|.

    Attributes:
        percent: percentage of the weights to remove.
        method: "wanda", or "magnitude", which needs no data.
        samples: number of calibration windows (see Data).
        length: number of tokens in a window, at most the model's own.
        calibration: calibration text; "retain" means the general text where the task belongs to no suite.
        seed: seed of the draw of windows.

    Source: Sun et al. 2024 (arXiv 2306.11695); the activations of a block are taken before any of its layers is pruned.
    Departs: none.
    Cost: Wanda 2 F, and beyond the model one window's activations of a block, one layer and its sort order; magnitude
        no passes, and one layer and its sort order.
    """

    name: ClassVar[str] = "prune"

    percent: int = 50
    method: Method = "wanda"
    samples: int = 128
    length: int = 2048
    calibration: CalibrationText = "retain"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: a value is out of range.
        """
        if not 1 <= self.percent <= 99:
            raise ConfigError(f"prune percent={self.percent} is not possible: give 1 to 99")
        if self.method not in get_args(Method):
            raise UnknownNameError("method of attack prune", self.method, get_args(Method))
        if self.samples < 1:
            raise ConfigError(f"prune samples={self.samples} is not possible: give at least 1")
        if self.length < 2:
            raise ConfigError(f"prune length={self.length} is not possible: give at least 2 tokens")
        check_text("prune", self.calibration)

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Prune the model in place.

        Returns:
            Sparsity of the decoder's linear layers, number of layers, mean ‖ΔW‖/‖W‖ per tensor class, calibration text,
            perplexities, fallbacks and flags.

        Raises:
            DataError: there is no calibration text, or it contains forget passages.
            ModelError: the weights cannot be pruned.
        """
        fraction, what = self.percent / 100, f"prune{self.percent}"
        if self.method == "magnitude":
            report = rewrite_linears(
                model, context, lambda weight: magnitude_pruned(weight, fraction), f"{what} layers", quantises=False
            )
        else:
            report = self._wanda(model, context, fraction, f"{what} blocks")
        return {"sparsity": sparsity(model), **report}

    def _wanda(self, model: Any, context: AttackContext, fraction: float, what: str) -> dict[str, Any]:
        layers = decoder_linears(model)
        text = calibrate(context, self.calibration, self.samples, self.length, self.seed)
        damage = Damage(model, probe(context, self.length, self.seed), quantises=False)

        def rewrite(layer: Linear, columns: ColumnNorms) -> None:
            before = layer.weight.clone()
            layer.write(wanda_pruned(before, columns.norms, fraction))
            change = (layer.weight - before).float().norm() / before.float().norm()
            damage.note(layer.name, relative_weight_error=float(change))

        unreached = walk(
            model, text.windows, ColumnNorms, rewrite, true_sequential=False, progress=context.progress, what=what
        )
        for layer in unreached:
            layer.write(magnitude_pruned(layer.weight, fraction))
            damage.fall_back("no_calibration_token_pruned_by_magnitude", layer.name)
        for name in other_matrices(model):
            damage.fall_back("not_a_linear_layer_left_as_is", name)
        return {"layers": len(layers), "calibration": text.report, **damage.report()}
