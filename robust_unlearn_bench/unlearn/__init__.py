"""Unlearning by recipe: a checkpoint and a YAML file in, an unlearned checkpoint with its card out."""

from __future__ import annotations

from .recipe import Recipe, load_recipe, recipe_files
from .unlearning import unlearn

__all__ = ["Recipe", "load_recipe", "recipe_files", "unlearn"]
