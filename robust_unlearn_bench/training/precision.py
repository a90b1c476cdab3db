"""Training precision as an experimental variable: the dtypes of the weights and of the arithmetic.

    fp32            fp32 weights, fp32 arithmetic
    bf16_autocast   fp32 weights ("masters"), bf16 matrix products
    bf16_pure       bf16 weights and arithmetic: steps below half a unit in the last place are lost
    bf16_kahan      as bf16_pure, with the lost part of every step carried along in a second bf16 tensor

In fp32 the sum w + Δ keeps steps of relative size 1e-7, in bf16 only those above 4e-3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import ConfigError, ModelError
from ..models.shards import local
from ..optimizers.rule import Parameters
from .precision_names import Precision, refuse_unknown_precision

__all__ = ["Weights", "cast", "computing", "fold", "kept_in", "trainable"]


def kept_in(precision: Precision) -> torch.dtype:
    """Return the dtype in which a run keeps the weights that it trains."""
    return torch.float32 if precision in ("fp32", "bf16_autocast") else torch.bfloat16


def trainable(model: nn.Module) -> Parameters:
    """Return the parameters that require a gradient, by name; tied tensors appear once.

    Raises:
        ModelError: the model is quantised, its weights are not finite floats, or none of them may be trained.
    """
    remedy = "load the unquantised checkpoint (dtype float32 or bfloat16) and try again"
    if getattr(model, "is_quantized", False) or getattr(model, "hf_quantizer", None) is not None:
        raise ModelError(f"this model is quantised and cannot be trained: {remedy}")
    for name, p in model.named_parameters():
        if p.dtype not in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
            raise ModelError(f"weight {name} has dtype {p.dtype} and cannot be trained: {remedy}")
        if not bool(torch.isfinite(local(p.detach())).all()):
            raise ModelError(f"weight {name} is not finite (NaN or infinity): the checkpoint is broken; use another")
    chosen = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not chosen:
        raise ModelError("no parameter of this model requires a gradient: unfreeze the ones to train")
    return chosen


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context for a forward pass."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16_autocast")


def cast(model: nn.Module, precision: Precision) -> None:
    """Cast every parameter permanently to the dtype in which the run keeps weights."""
    for p in model.parameters():
        p.data = p.data.to(kept_in(precision))


def fold(weight: Tensor, lost: Tensor) -> None:
    """(w, lost) ← (w + lost, lost − (rounded w + lost − w)), in place: add what fits, and keep the rest.

    Args:
        weight: any shape, in a narrow dtype.
        lost: same shape and dtype; what earlier steps should have added to the weight.

    Source: Kahan 1965, "Further remarks on reducing truncation errors".
    """
    before = weight.clone()
    weight += lost
    lost -= weight - before


class Weights(AbstractContextManager["Weights"]):
    """Context that keeps a model's parameters in the precision of a run and then restores their own dtype.

    The parameter objects stay the same and only their data are cast, so optimizers, names and tying are unaffected.

    Args:
        model: model with parameters of any float dtype.
        parameters: trained parameters; with bf16_autocast the others are not cast.
        precision: precision of the run.

    Attributes:
        masters: tensors that an optimizer updates, by name; here the trained parameters themselves.
        device: device of the forward passes.
    """

    masters: Parameters

    def __init__(self, model: nn.Module, parameters: Parameters, precision: Precision) -> None:
        refuse_unknown_precision(precision, "a training run")
        self.precision = precision
        self.device = next(model.parameters()).device
        kept = parameters if precision == "bf16_autocast" else dict(model.named_parameters())
        self._own = {name: (p, p.dtype) for name, p in kept.items()}
        self.masters = parameters
        self._lost: dict[str, Tensor] = {}

    def __enter__(self) -> Weights:
        for p, _ in self._own.values():
            if p.dtype != kept_in(self.precision):
                p.data = p.data.to(kept_in(self.precision))
            p.grad = None
        self._begin()
        return self

    def _begin(self) -> None:
        """Start to carry along what rounding loses, if the precision asks for it."""
        if self.precision == "bf16_kahan":
            self._lost = {name: torch.zeros_like(p) for name, p in self.masters.items()}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for p, dtype in self._own.values():
            if p.dtype != dtype:
                p.data = p.data.to(dtype)
            p.grad = None
        self._lost = {}

    @contextmanager
    def as_stored(self) -> Iterator[None]:
        """Put the model into its own dtype between steps, as it would be saved; training then continues unrounded.

        The masters are set aside, not copied: this costs 2 bytes per parameter for a bf16 model and none for an fp32 model,
        where a copy of the masters to restore from costs 4 (measured with 50M parameters).

        An exception in the block ends the run, and the weights stay as the block left them.
        """
        masters = {name: p.data for name, (p, _) in self._own.items()}
        for p, dtype in self._own.values():
            p.data = p.data.to(dtype)
        yield
        for name, (p, _) in self._own.items():
            p.data = masters[name]

    def compute(self) -> AbstractContextManager[Any]:
        """Return the context for a forward pass."""
        return computing(self.precision, self.device)

    def around(self, updates: tuple[Optimizer, ...]) -> None:
        """With bf16_kahan, let updates act on the lost part of each weight, then fold that part into the weight.

        The optimizer sees and changes a parameter that holds only the amount lost to rounding so far, which is as small
        as its step; `fold` follows. This compensates any rule with a step that does not depend on w itself, without
        changes to the rule. With 46M parameters and AdamW, weights, gradients and states then take 11.6 bytes per
        parameter beyond the model itself, 1.9 more than with bf16_pure; fp32 masters take 19.8.

        Raises:
            ConfigError: an update decays weights, which depends on w.
        """
        if self.precision != "bf16_kahan":
            return
        for update in updates:
            if any(group.get("weight_decay", 0) for group in update.param_groups):
                raise ConfigError("precision bf16_kahan needs weight_decay 0: set it, or choose bf16_autocast")
            mine = {id(p) for group in update.param_groups for p in group["params"]}
            names = [name for name, p in self.masters.items() if id(p) in mine]
            update.register_step_pre_hook(lambda *_, n=names: self._exchange(n))
            update.register_step_post_hook(lambda *_, n=names: self._exchange_and_fold(n))

    def _exchange(self, names: list[str]) -> None:
        """Weights and their lost parts change places."""
        for name in names:
            self.masters[name].data, self._lost[name] = self._lost[name], self.masters[name].data

    def _exchange_and_fold(self, names: list[str]) -> None:
        self._exchange(names)
        for name in names:
            fold(self.masters[name].data, self._lost[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parts of the weights that were lost to rounding (bf16_kahan), else an empty mapping."""
        return self._lost

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state that `state_dict` returned."""
        for name, lost in state.items():
            self._lost[name].copy_(lost)
