"""The card of an unlearned model: everything that a reader needs to judge and to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .. import __version__
from ..optimizers import grade_of
from ..suites.corpus import Corpora
from .recipe import Recipe
from .run import Outcome

__all__ = ["card", "recipe_facts", "weight_change"]


def weight_change(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """Return ‖Δw‖ over all parameters, absolute and relative to ‖w‖ before unlearning.

    Args:
        before: copies of the parameters on the CPU, by name.
        model: model after unlearning.
    """
    moved = size = 0.0
    for name, p in model.named_parameters():
        old = before[name].double()
        moved += float((p.detach().cpu().double() - old).square().sum())
        size += float(old.square().sum())
    return {"absolute": math.sqrt(moved), "relative": math.sqrt(moved / size)}


def card(
    recipe: Recipe, corpora: Corpora, identity: Mapping[str, Any], outcome: Outcome, change: Mapping[str, float]
) -> dict[str, Any]:
    """Return the content of `unlearning.json`, JSON-serialisable.

    Args:
        recipe: recipe of the run.
        corpora: forget and retain text.
        identity: recipe and hashes that identify the run.
        outcome: outcome of the run.
        change: distance that the weights moved; see `weight_change`.
    """
    return {
        **recipe_facts(recipe),
        "grade": grade_of(recipe.optimizer.name),
        "rule": recipe.optimizer.facts.rule,
        "forget": {"name": corpora.forget.name, "sha256": corpora.forget.sha256},
        "retain": {"name": corpora.retain.name, "sha256": corpora.retain.sha256},
        "steps": outcome.steps,
        "forward": round(outcome.count.forwards),
        "backward": round(outcome.count.backwards),
        "weight_change": dict(change),
        "trained_parameters": outcome.trained,
        "sequences": dict(zip(("forget", "retain"), outcome.sequences, strict=True)),
        "truncated_tokens": outcome.truncated,
        "completion_probability": {
            "before": outcome.before._asdict(),
            "after": outcome.chosen._asdict(),
            "checkpoints": [c._asdict() for c in outcome.candidates],
        },
        "identity": dict(identity),
        "versions": {"package": __version__, "torch": torch.__version__},
    }


def recipe_facts(recipe: Recipe) -> dict[str, Any]:
    """Return the facts about a model that its recipe determines."""
    return {
        "objective": recipe.objective.name,
        "retain_loss": recipe.retain.name if recipe.retain_weight else None,
        "optimizer": recipe.optimizer.name,
        "hyperparameters": _flat(recipe.method),
        "precision": recipe.precision,
        "seeds": [recipe.seed],
        "tuning_trials": recipe.tuning.trials,
        "tuning_space": recipe.tuning.space,
        "selected_on": recipe.tuning.selected_on,
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten {"optimizer": {"lr": 1}} to {"optimizer.lr": 1}, without empty values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            flat[prefix + key] = value
    return flat
