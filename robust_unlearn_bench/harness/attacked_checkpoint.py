"""`rub attack`: write an attacked checkpoint that any backend can load."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..attacks.quantise.packed_export import export_packed, require_gptq
from ..errors import AttackError
from ..models.checkpoint import load, refuse_to_overwrite, save, write_cards
from ..models.snapshot import Snapshot
from ..models.weights import fingerprint, out_of_memory, require_float_weights
from .plan import plan_attack

__all__ = ["CARD", "attack_checkpoint"]

CARD = "attack.json"


def attack_checkpoint(
    attack: str | Mapping[str, Any],
    model: str,
    out: Path,
    *,
    suite: str | None = None,
    data_dir: str | None = None,
    dtype: str = "auto",
    device: str = "cpu",
    packed: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Path:
    """Apply an attack to a checkpoint and save the result as safetensors with a card of its provenance.

    Args:
        attack: spec of the attack, such as "gptq4" or "relearn50+gptq4".
        model: folder or hub name of the float checkpoint.
        out: folder for the attacked checkpoint, which must be empty or not exist yet.
        suite: suite whose forget and retain text the attack uses.
        data_dir: local mirror of the suite's data.
        dtype: dtype of the weights during the attack and in the saved checkpoint.
        device: device on which the attack runs.
        packed: whether gptqmodel carries out the last step, a GPTQ, and writes packed instead of dequantised weights.
        progress: callback that receives (done, total, what).

    Returns:
        The folder, which holds `attack.json` beside the checkpoint.

    Raises:
        ConfigError: the attack cannot be read or cannot be packed, or `out` is not empty.
        AttackError: memory ran out.
        MissingExtraError: packing needs gptqmodel.
        ModelError: the model is quantised or holds NaN.
    """
    refuse_to_overwrite(out)
    plan = plan_attack(attack, suite, data_dir or os.environ.get("RUB_DATA"), os.environ.get("RUB_SNAPSHOT") or "cpu")
    quantiser = require_gptq(plan.spec.steps[-1]) if packed else None
    checkpoint = load(model, dtype, device)
    loaded, tokenizer = checkpoint
    require_float_weights(loaded, plan.spec.name)
    before = fingerprint(loaded)
    snapshot = Snapshot(loaded, plan.snapshot)
    window = int(getattr(loaded.config, "max_position_embeddings", 0) or 2048)
    context = plan.context(tokenizer, window, progress)
    started = time.perf_counter()
    diagnostics = []
    try:
        for step in plan.spec.steps[:-1] if packed else plan.spec.steps:
            diagnostics.append(step.apply(loaded, context))
            loaded.eval()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise AttackError(f"attack {plan.name} ran out of memory: {plan.remedies}") from error
    if quantiser is not None:
        diagnostics.append(export_packed(checkpoint, out, quantiser, context))
    corpora = context.corpora
    card = {
        "attack": plan.name,
        "digest": plan.spec.digest,
        "config": plan.spec.config,
        "suite": {"name": plan.suite.name, "version": plan.suite.version} if plan.suite else None,
        "data": {"forget": corpora.forget.sha256, "retain": corpora.retain.sha256} if corpora else {},
        "model": {"path": model, "fingerprint": before},
        "attacked_fingerprint": None if packed else fingerprint(loaded),
        "relative_weight_change": None if packed else snapshot.change(loaded),
        "diagnostics": diagnostics,
        "seconds": round(time.perf_counter() - started, 3),
        "package": __version__,
    }
    if packed:
        return write_cards(out, {CARD: card})
    return save(checkpoint, out, {CARD: card})
