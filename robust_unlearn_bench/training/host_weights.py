"""Training with weights, gradients and optimizer states in CPU memory; the device computes with images of the weights.

A pass runs on images on the device: of matrices in the dtype that autocast computes their products in, of everything else
(norms, biases, embeddings) in the dtype of the masters. Each gradient leaves the device as soon as it is complete and is
added to its master's in CPU memory, in fp32 even where a loss takes several passes. A rule therefore sees all gradients
together, clips and updates the masters as if they were the model, and the next pass begins by renewing the images that
are out of date. No number changes: autocast would have rounded the same weights and gradients at the same places.

Why no library: torchao's CPUOffloadOptimizer keeps masters in the narrow dtype, updates each tensor before the norm of all
gradients is known and does not accumulate gradients (a forget and a retain loss are two), and FSDP2's CPUOffloadPolicy
sends all weights again in both halves of every pass and needs a process group; the update itself is torch's fused CPU
AdamW.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..optimizers.rule import Parameters
from .precision import Weights, kept_in
from .precision_names import Precision
from .transfer import transfers_for

__all__ = ["HostWeights", "image_dtypes"]

CPU = torch.device("cpu")


def image_dtypes(model: nn.Module, names: Mapping[str, Tensor], precision: Precision) -> dict[str, torch.dtype]:
    """Return the dtype of each parameter's image on the device.

    It is bf16 for a weight that only linear layers use, if the run computes under autocast; a weight that an embedding
    shares is also read in full, and keeps its own dtype like every other.

    Args:
        model: the model, on any device.
        names: trained parameters by name.
        precision: precision of the run.
    """
    kept = kept_in(precision)
    if precision != "bf16_autocast":
        return dict.fromkeys(names, kept)
    linear: dict[int, bool] = {}
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            product = type(module) is nn.Linear or type(module).__name__ == "Conv1D"
            linear[id(p)] = linear.get(id(p), True) and product and name == "weight"
    return {name: torch.bfloat16 if linear.get(id(p), False) else kept for name, p in names.items()}


class HostWeights(Weights):
    """Context in which a model's trained parameters are images of masters in CPU memory.

    The parameter objects of the model stay the same. `masters` has one fp32 (or bf16) tensor in CPU memory for each of
    them, under the same name, with its gradient in `.grad`; it is empty outside the context.

    Args:
        model: model with parameters of any float dtype, on any devices.
        parameters: trained parameters.
        precision: precision of the run.
    """

    def __init__(self, model: nn.Module, parameters: Parameters, precision: Precision) -> None:
        super().__init__(model, parameters, precision)
        self.masters = {}
        self._trained = parameters
        self._image = image_dtypes(model, parameters, precision)
        self._transfers = transfers_for(self.device)
        self._sent: dict[str, int] = {}
        self._hooks: list[RemovableHandle] = []
        self._fetching = False
        narrow = {id(p): name for name, p in parameters.items() if self._image[name] != kept_in(precision)}
        self._narrow = [
            (module, key, narrow[id(p)])
            for module in model.modules()
            for key, p in module._parameters.items()
            if p is not None and id(p) in narrow
        ]

    def __enter__(self) -> HostWeights:
        masters: dict[str, Parameter] = {}
        for name, (p, _) in self._own.items():
            if name in self._trained:
                masters[name] = Parameter(p.detach().to(CPU, kept_in(self.precision), copy=True))
                cast(Any, masters[name]).computed_on = p.device
                p.data = p.data.to(self._image[name])
                self._sent[name] = masters[name]._version
                if self._image[name] == kept_in(self.precision):
                    hook = cast(Any, p).register_post_accumulate_grad_hook(partial(self._leave, name))
                    self._hooks.append(hook)
            else:
                p.data = p.data.to(kept_in(self.precision))
            p.grad = None
        self.masters = masters
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()
        self._finish()
        for name, (p, dtype) in self._own.items():
            p.data = self._stored(name, dtype)
            p.grad = None
        self.masters, self._lost = {}, {}

    @contextmanager
    def as_stored(self) -> Iterator[None]:
        """Put the model into its own dtype between steps, as it would be saved; training then continues unrounded."""
        before = {name: p.data for name, (p, _) in self._own.items() if name not in self._trained}
        for name, (p, dtype) in self._own.items():
            p.data = self._stored(name, dtype)
        yield
        for name, (p, _) in self._own.items():
            p.data = before[name] if name in before else p.data.to(self._image[name])
        self._sent = {}

    @contextmanager
    def compute(self) -> Iterator[None]:
        """Renew the images that are out of date, and compute with them.

        A pass with gradients uses a leaf of its own for each narrow image, without a copy: the gradients of several
        passes would otherwise be added up in bf16 before they leave.
        """
        self._renew()
        images = [(module, key, module._parameters[key]) for module, key, _ in self._narrow]
        try:
            if torch.is_grad_enabled():
                for module, key, name in self._narrow:
                    leaf: Any = Parameter(self._trained[name].detach())
                    leaf.register_post_accumulate_grad_hook(partial(self._leave, name))
                    module._parameters[key] = leaf
            with super().compute():
                yield
        finally:
            for module, key, image in images:
                module._parameters[key] = image

    def around(self, updates: tuple[Optimizer, ...]) -> None:
        """As `Weights.around`, and note that an update changes the masters."""
        super().around(updates)
        for update in updates:
            update.register_step_post_hook(lambda *_: self._sent.clear())  # fused kernels do not raise `_version`

    def _renew(self) -> None:
        """Send the masters that have changed since they were last sent."""
        for name, master in self.masters.items():
            if self._sent.get(name) != master._version:
                self._transfers.send(master.detach(), self._trained[name].data)
                self._sent[name] = master._version

    def _stored(self, name: str, dtype: torch.dtype) -> Tensor:
        """Return a parameter's values in its own dtype, on its own device."""
        p = self._own[name][0]
        master = self.masters.get(name)
        return p.data.to(dtype) if master is None else master.detach().to(dtype).to(p.device, copy=True)

    def _leave(self, name: str, p: Tensor) -> None:
        """Take a complete gradient off the device, within a backward pass."""
        gradient, p.grad = p.grad, None
        assert gradient is not None
        if not self._fetching:
            self._fetching = True
            cast(Any, Variable)._execution_engine.queue_callback(self._finish)
        self._transfers.fetch(gradient, partial(self._add, name))

    def _add(self, name: str, values: Tensor) -> None:
        master = self.masters[name]
        if master.grad is None:
            master.grad = values.to(master.dtype)
        else:
            master.grad.add_(values)

    def _finish(self) -> None:
        """Wait at the end of a backward pass until every gradient is in CPU memory."""
        self._fetching = False
        self._transfers.finish()
