"""What a run cannot do, said before its first step."""

from __future__ import annotations

from ..errors import ConfigError
from ..optimizers.rule import Rule
from .recipe import Recipe

__all__ = ["refuse_bad_stops", "refuse_unsharded"]


def refuse_bad_stops(rule: Rule, steps: int, every: int | None) -> None:
    """Raise where the optimizer's schedule does not allow a model at the last step or at a checkpoint.

    Raises:
        ConfigError: naming the nearest numbers that do.
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
    """Raise where a recipe asks for something that needs whole weights in one process.

    Optimizers that need whole tensors say so themselves, see `optimizers.shards.refuse_shards`.

    Raises:
        ConfigError: naming the key.
    """
    remedy = "run it in one process, or leave it out"
    if recipe.lora:
        raise ConfigError(f"recipe key lora merges its adapter into whole weights, which no process has here: {remedy}")
    for loss in (recipe.objective, recipe.retain):
        if loss.whole_weights:
            raise ConfigError(f"objective {loss.name} needs whole weights, which no process has here: {remedy}")
    if recipe.precision == "bf16_kahan":
        raise ConfigError(
            "precision bf16_kahan puts other tensors in the place of weights during a step, which FSDP2 does not allow: "
            "run it in one process, or choose bf16_autocast"
        )
