"""Packed GPTQ checkpoints, which vLLM, gptqmodel and transformers load, in place of dequantised floats."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import ConfigError
from ...models.checkpoint import Checkpoint, save
from ..attack import Attack, AttackContext
from ..calibration import calibrate
from .backends.gptqmodel import pack
from .backends.groups import require_packable_bits, require_whole_groups
from .gptq import GPTQ

__all__ = ["export_packed", "require_gptq"]


def require_gptq(step: Attack) -> GPTQ:
    """The last step of an attack as a GPTQ that can be packed.

    Raises:
        ConfigError: the step is not a GPTQ, or has a number of bits that the format does not support.
    """
    if not isinstance(step, GPTQ):
        raise ConfigError(f"attack {step.name} cannot be packed: the gptq format holds attacks that end with gptq4")
    require_packable_bits(step.bits)
    return step


def export_packed(checkpoint: Checkpoint, out: Path, attack: GPTQ, context: AttackContext) -> dict[str, Any]:
    """Quantise a float model with gptqmodel on the attack's own calibration text, and write it packed.

    The weights are gptqmodel's, not bit for bit those of the built-in attack: steps are fp16, and sums are taken in
    another order; output errors agree within 3 % (see docs/attacks.md).

    Args:
        checkpoint: float model and its tokenizer.
        out: folder to write; replaced by gptqmodel where it exists.
        attack: parameters of the quantisation.
        context: calibration text, tokenizer and window of the model.

    Returns:
        Diagnostics: calibration text, backend and format.

    Raises:
        MissingExtraError: gptqmodel is not installed.
        DataError: there is no calibration text, or it contains forget passages.
        ConfigError: the group size does not divide every row.
    """
    from importlib.metadata import version

    require_whole_groups(checkpoint.model, attack.group_size)
    text = calibrate(context, attack.calibration, attack.samples, attack.length, attack.seed)
    with TemporaryDirectory() as scratch:
        floats = save(checkpoint, Path(scratch) / "float", {})
        pack(floats, out, text.windows, attack)
    return {"calibration": text.report, "backend": f"gptqmodel {version('gptqmodel')}", "format": "gptq"}
