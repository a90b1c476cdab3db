"""Checks that a run is possible, before its first step."""

from __future__ import annotations

from ..errors import ConfigError
from ..optimizers.rule import Rule
from .recipe import Recipe

__all__ = ["refuse_bad_stops", "refuse_unsharded"]


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
