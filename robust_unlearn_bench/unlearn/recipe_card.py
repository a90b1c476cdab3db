"""The card of a recipe, generated from the recipe and the grade table by `make generated`."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from ..objectives import Objective
from ..optimizers import GRADES, grade_of
from .recipe import Recipe

__all__ = ["recipe_card"]


def recipe_card(name: str, recipe: Recipe) -> str:
    """Return the card as Markdown: losses, optimizer, cost, and expected results with their source.

    Args:
        name: name of the recipe, "suite/objective-optimizer".
        recipe: content of the recipe.
    """
    optimizer, row = recipe.optimizer, recipe.optimizer.facts
    memory = "depends on the shapes" if row.state_bytes is None else f"{row.state_bytes:g} bytes per parameter"
    if row.extra_bytes:
        memory += f", and {row.extra_bytes:g} for a copy of the weights within a step"
    length = f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs:g} epochs of the forget set"
    facts = {
        "Grade": f"{GRADES[grade_of(optimizer.name)]} (`{optimizer.name}`)",
        "Update": f"`{row.rule}`",
        "Forget loss": _loss(recipe.objective, recipe.forget_weight),
        "Retain loss": _loss(recipe.retain, recipe.retain_weight),
        "Optimizer": _options(optimizer),
        "Length": f"{length}, batches of {recipe.batch_size} + {recipe.batch_size}, {recipe.schedule} learning rate",
        "Precision": recipe.precision,
        "Checkpoint": _selection(recipe),
        "Cost of a step": f"{row.cost.forwards:g} forwards and {row.cost.backwards:g} backwards of one batch",
        "Optimizer states": memory,
    }
    if row.extra:
        facts["Needs"] = f"`pip install 'robust-unlearn-bench[{row.extra}]'`"
    lines = [f"# {name}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in facts.items()), ""]
    if recipe.source:
        lines += [" ".join(recipe.source.split()), ""]
    lines += _tuning(recipe)
    lines += ["## Run", "", f"    rub unlearn {name} --model {recipe.model or 'TARGET'} --out OUT", ""]
    if recipe.expected:
        lines += ["## Expected", "", "| metric | attack | value | source |", "|---|---|---|---|"]
        lines += [f"| {e.metric} | {e.attack} | {e.value:.3f} | {e.source} |" for e in recipe.expected]
        lines += [""]
    return "\n".join(lines)


def _loss(objective: Objective, weight: float) -> str:
    if weight == 0:
        return "none"
    first = (inspect.getdoc(type(objective)) or "").split("\n")[0].replace("|", "\\|")
    return f"{weight:g} × {_options(objective)}: {first}"


def _options(chosen: Any) -> str:
    """Return name and hyper-parameters, as in "`npo` (beta 0.1, level sequence)"."""
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    shown = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
    return f"`{chosen.name}`" + (f" ({shown})" if shown else "")


def _selection(recipe: Recipe) -> str:
    if recipe.select.rule == "last":
        return "the last"
    limit = recipe.select.forget_at_most
    among = f" among those with a forget probability of at most {limit:g}" if limit is not None else ""
    return f"one every {recipe.checkpoint_every} steps; the one with the highest retain probability{among} is used"


def _tuning(recipe: Recipe) -> list[str]:
    tuning = recipe.tuning
    if not tuning.space and tuning.trials is None:
        return []
    space = ["| key | values |", "|---|---|", *(f"| {k} | {', '.join(map(str, v))} |" for k, v in tuning.space.items())]
    trials = "number of trials not known" if tuning.trials is None else f"{tuning.trials} trials"
    chosen = f", chosen by {tuning.selected_on}" if tuning.selected_on else ""
    return ["## Tuning", "", f"{trials[0].upper()}{trials[1:]}{chosen}.", "", *(space if tuning.space else []), ""]
