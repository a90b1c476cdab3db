"""Gaussian noise on every weight tensor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ...errors import ConfigError
from ...models.decoder import decoder_linears
from ..attack import ATTACKS, AttackContext, AttackDefaults
from ..calibration import probe
from ..damage import Damage

__all__ = ["Noise"]


@ATTACKS.register("noise", label="noise{percent}")
@dataclass(frozen=True, slots=True)
class Noise(AttackDefaults):
    """w ← w + (percent/100) · std(W) · z, z ~ N(0, 1), for every parameter tensor W of the model.

    Tensors whose entries are all equal (fresh norms, zero biases) have no spread and are not changed; a tied embedding
    receives noise once. Every tensor has its own generator, seeded by (seed, name), so that its noise does not depend on
    the device, on the order of tensors or on other tensors.

    Attributes:
        percent: standard deviation of the noise in percent of the tensor's own.
        seed: seed of the noise.

    Source: none; an isotropic control for directed attacks. Report the mean of three seeds.
    Departs: none.
    Cost: no passes; one tensor in fp32 beyond the model.
    """

    name: ClassVar[str] = "noise"

    percent: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a noise level below one percent.

        Raises:
            ConfigError: naming the value.
        """
        if self.percent < 1:
            raise ConfigError(f"noise percent={self.percent} is not possible: give at least 1")

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Add the noise in place.

        Returns:
            Mean ‖ΔW‖/‖W‖ per tensor class, perplexities and flags.

        Raises:
            ModelError: the weights are quantised, offloaded or not finite.
        """
        decoder_linears(model)  # for its checks of the weights
        damage = Damage(model, probe(context), quantises=False)
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for i, (name, parameter) in enumerate(parameters.items()):
                before = parameter.float()
                spread = float(before.std()) if parameter.numel() > 1 else 0.0
                if spread > 0:
                    key = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
                    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
                    noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
                    parameter.copy_(before + self.percent / 100 * spread * noise)
                    change = (parameter.float() - before).norm() / before.norm()
                    damage.note(name.removesuffix(".weight"), relative_weight_error=float(change))
                context.progress(i + 1, len(parameters), "noise tensors")
        return damage.report()
