"""Checks that a run is possible, before its first step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..models.checkpoint import skeleton
from ..optimizers.rule import Rule
from ..suites.corpus import Corpora
from ..training.finetune import context_length
from ..training.footprint import Run, seconds, sizes, training_step
from ..training.machine import duration, measured_rates
from ..training.placement import fit, free_memory, gigabytes
from .recipe import Recipe

__all__ = ["plan", "refuse_bad_stops", "refuse_unsharded", "run_of"]

CHARACTERS = 4
"""Characters of text that are taken for one token."""


def run_of(recipe: Recipe, width: int) -> Run:
    """Return a recipe's run, as far as memory and work depend on it.

    Args:
        recipe: recipe of the run.
        width: tokens of the longest sequence.
    """
    reference = "model" in (recipe.objective.needs, recipe.retain.needs if recipe.retain_weight else "")
    return Run(
        recipe.precision,
        recipe.optimizer.facts,
        recipe.batch_size,
        width,
        losses=2 if recipe.retain_weight else 1,
        reference=reference,
        recompute=recipe.gradient_checkpointing,
        micro_batch=recipe.micro_batch,
    )


def plan(recipe: Recipe, model: str | Path, corpora: Corpora, device: str) -> str | None:
    """Return the plan of a run in one line, from the model's config.json and the text.

    Args:
        recipe: recipe of the run.
        model: folder or hub name of the target.
        corpora: forget and retain text.
        device: device of the run.

    Returns:
        The line, or None for an adapter or a quantised model, whose config.json does not describe its weights.

    Raises:
        ModelError: the model's config.json cannot be read, or the run fits into no memory.
    """
    bones: Any = skeleton(model)
    if bones is None:
        return None
    s = sizes(bones)
    s = s.with_adapter(recipe.lora.rank) if recipe.lora else s
    texts = [
        example.prompt + example.completion for side in (corpora.forget, corpora.retain) for example in side.examples
    ]
    window = min(recipe.window, context_length(bones))
    run = run_of(recipe, min(window, 1 + max(map(len, texts)) // CHARACTERS))
    free = free_memory(device=device)
    placed = fit("this recipe", s, run, free)
    windows = sum(-(-len(example.completion) // (CHARACTERS * window)) for example in corpora.forget.examples)
    steps = recipe.steps or math.ceil((recipe.epochs or 0) * max(1, -(-windows // recipe.batch_size)))
    work = training_step(s, run, on_host=placed.on_host, recompute=placed.recompute).times(steps)
    assert placed.device_bytes is not None
    assert placed.host_bytes is not None
    where = "masters in CPU memory" if placed.on_host else "all on the device"
    return (
        f"plan: {s.parameters / 1e6:,.0f}M parameters, {where}: {gigabytes(placed.device_bytes)} on the device and "
        f"{gigabytes(placed.host_bytes)} in CPU memory, about {duration(seconds(work, measured_rates(device)))} for "
        f"{steps} steps"
    )


def refuse_bad_stops(rule: Rule, steps: int, every: int | None) -> None:
    """Raise if the optimizer's schedule does not allow a model at the last step or at a checkpoint.

    Raises:
        ConfigError: it does not; the message names the nearest numbers of steps that are allowed.
    """
    for key, step in (("steps", steps), ("checkpoint_every", every)):
        if step is not None and not rule.may_stop_after(step):
            near = [n for n in range(1, 2 * step + 10_000) if rule.may_stop_after(n)]
            nearest = sorted(near, key=lambda n: abs(n - step))[:2]
            raise ConfigError(
                f"{key}={step} would end on a first-order block of the hybrid optimizer: "
                f"use {' or '.join(map(str, sorted(nearest)))}"
            )


def refuse_unsharded(recipe: Recipe) -> None:
    """Raise if a recipe asks for something that needs whole weights in one process.

    Optimizers that need whole tensors check this themselves; see `models.shards.refuse_shards`.

    Raises:
        ConfigError: it does; the message names the key.
    """
    remedy = "run it in one process, or leave it out"
    if recipe.lora:
        raise ConfigError(f"recipe key lora merges its adapter into whole weights, but they are sharded here: {remedy}")
    for loss in (recipe.objective, recipe.retain):
        if loss.whole_weights:
            raise ConfigError(f"objective {loss.name} needs whole weights, but they are sharded here: {remedy}")
    if recipe.precision == "bf16_kahan":
        raise ConfigError(
            "precision bf16_kahan replaces weights by other tensors during a step, which FSDP2 does not allow: "
            "run it in one process, or choose bf16_autocast"
        )
