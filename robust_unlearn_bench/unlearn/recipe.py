"""Recipes: each YAML file is a complete description of one way to unlearn, and unknown keys are errors.

    suite: nano_books
    objective: {name: npo, beta: 0.1}
    retain: {name: nll}
    retain_weight: 1.0
    optimizer: {name: hybrid, lr_fo: 1e-4, lr_zo: 1e-4, n_fo: 20, n_zo: 20}
    steps: 160

A recipe is named by its path under `baselines/` without the suffix ("nano_books/npo-hybrid") or by any path to a file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..configure import OneOf
from ..errors import ConfigError, UnknownNameError
from ..objectives import OBJECTIVES, RETAIN_LOSSES, Objective
from ..optimizers import OPTIMIZERS, OptimizerConfig
from ..paths import baselines_dir
from ..training.precision_names import Precision
from ..training.schedule import Schedule

__all__ = ["Expected", "Lora", "Recipe", "Selection", "Tuning", "load_recipe", "read_mapping", "recipe_files"]

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Selection(_Strict):
    """Rule that selects the checkpoint that becomes the model.

    Attributes:
        rule: "last", or "best_retain" for the highest probability of the retain completions.
        forget_at_most: with best_retain, largest probability of the forget completions that a checkpoint may have; if
            all exceed it, the checkpoint with the lowest one is selected.
    """

    rule: Literal["last", "best_retain"] = "last"
    forget_at_most: Annotated[float, Field(gt=0, le=1)] | None = None


class Lora(_Strict):
    """A low-rank adapter on all linear layers but the head, merged after training."""

    rank: Count = 16
    alpha: Count = 32


class Tuning(_Strict):
    """Description of the search that found the hyper-parameters.

    Attributes:
        trials: number of configurations that were run.
        space: hyper-parameter → values that were tried.
        selected_on: quantity that the choice was based on.
    """

    trials: Annotated[int, Field(ge=0)] | None = None
    space: dict[str, list[Any]] = Field(default_factory=dict)
    selected_on: str | None = None


class Expected(_Strict):
    """A result that the recipe should reproduce, and its source.

    Attributes:
        metric: name of the leaf and metric.
        attack: attack under which the value is measured.
        value: value of the metric, as a fraction.
        source: origin of the value: "paper" or "measured".
    """

    metric: str
    attack: str = "none"
    value: float
    source: Literal["paper", "measured"]


class Recipe(_Strict):
    """Complete description of an unlearning run.

    Attributes:
        suite: suite that provides forget and retain text, unless the caller gives files.
        model: hub name of the model that the recipe is meant for; for information only.
        objective: forget loss: {name: …, its hyper-parameters}.
        forget_weight: factor of the forget loss.
        retain: retain loss: {name: …, its hyper-parameters}.
        retain_weight: factor λ of the retain loss; 0 for no retain loss.
        optimizer: {name: …, its hyper-parameters}.
        steps: number of optimizer steps; give either this or `epochs`.
        epochs: number of passes over the forget set, rounded up to whole steps.
        batch_size: number of forget sequences per step, and of retain sequences.
        schedule: schedule of every learning rate.
        warmup: fraction of the steps in which the learning rate rises to its peak.
        clip: largest gradient norm, or null for no clipping.
        precision: precision of weights and arithmetic.
        window: longest sequence in tokens.
        seed: seed of data order, directions and other random draws.
        train: regular expressions; only parameters with a full name that matches one of them are trained; [] for all.
        lora: train a low-rank adapter instead of the weights.
        micro_batch: largest number of sequences in one pass.
        gradient_checkpointing: recompute activations instead of storing them.
        checkpoint_every: steps between checkpoints that can be selected or resumed from.
        select: rule that selects the checkpoint that becomes the model.
        stop_at: stop once the forget loss of a step's batch is at or below this (gradient ascent is unbounded).
        tuning: description of the search that found the hyper-parameters.
        expected: results to compare with.
        source: origin of the recipe.
    """

    suite: str | None = None
    model: str | None = None
    objective: Annotated[Objective, OneOf(OBJECTIVES)]
    forget_weight: Positive = 1.0
    retain: Annotated[Objective, OneOf(RETAIN_LOSSES)] = Field(default_factory=lambda: RETAIN_LOSSES["nll"]())
    retain_weight: Annotated[float, Field(ge=0)] = 1.0
    optimizer: Annotated[OptimizerConfig, OneOf(OPTIMIZERS)]
    steps: Count | None = None
    epochs: Positive | None = None
    batch_size: Count = 4
    schedule: Schedule = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Positive | None = 1.0
    precision: Precision = "bf16_autocast"
    window: Annotated[int, Field(ge=2)] = 2048
    seed: int = 0
    train: list[str] = Field(default_factory=list)
    lora: Lora | None = None
    micro_batch: Count | None = None
    gradient_checkpointing: bool = False
    checkpoint_every: Count | None = None
    select: Selection = Selection()
    stop_at: float | None = None
    tuning: Tuning = Tuning()
    expected: list[Expected] = Field(default_factory=list)
    source: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if (self.steps is None) == (self.epochs is None):
            raise ConfigError(f"steps is {self.steps} and epochs is {self.epochs}: give exactly one of them")
        if self.select.rule == "best_retain" and self.checkpoint_every is None:
            raise ConfigError("select.rule best_retain needs checkpoints to choose from: set checkpoint_every")
        if self.lora and self.train:
            raise ConfigError("lora and train cannot be combined: train either an adapter or parameters by name")
        for pattern in self.train:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(f"train has {pattern!r}, which is not a regular expression: {error}") from error
        return self

    @property
    def method(self) -> dict[str, Any]:
        """All keys that the resulting weights depend on, with the values of all hyper-parameters."""
        return self.model_dump(mode="json", exclude={"tuning", "expected", "source", "model"})

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of `method`."""
        return hashlib.sha256(json.dumps(self.method, sort_keys=True).encode()).hexdigest()[:12]


RECIPES = "robust_unlearn_bench.recipes"
"""Entry-point group of packages that contain recipes: `<package>/<suite>/<recipe>.yaml`."""


def recipe_files() -> dict[str, Path]:
    """Return the file of every recipe by name ("nano_books/npo-adam"), from all packages; the first of a name wins."""
    files: dict[str, Path] = {}
    for root in (baselines_dir(), *_other_folders()):
        for path in sorted(path for path in root.glob("*/*.yaml") if path.parent.name != "grids"):
            files.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    return dict(sorted(files.items()))


def _other_folders() -> Iterator[Path]:
    for plugin in entry_points(group=RECIPES):
        spec = find_spec(plugin.value)
        yield from map(Path, (spec.submodule_search_locations or ()) if spec else ())


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        recipe: name or path of the recipe.
        overrides: changes "key=value" or "key.key=value", with the value in YAML; applied in order.

    Raises:
        UnknownNameError: there is no such recipe, key, objective or optimizer.
        ConfigError: the file is not a mapping, or a value is wrong.
    """
    path = Path(recipe)
    if not path.is_file():
        files, name = recipe_files(), str(recipe).removesuffix(".yaml")
        if name not in files:
            raise UnknownNameError("recipe", str(recipe), files)
        path = files[name]
    content = read_mapping(path, "recipe")
    for override in overrides:
        _set(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise _one_sentence(error, f"recipe {recipe}") from error


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: file to read.
        what: kind of file, for messages.

    Raises:
        ConfigError: the file is not YAML or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{what} {path} is not a mapping: write key: value lines")
    return content


class _Yaml(yaml.SafeLoader):
    """YAML in which 1e-5 is a number, as in YAML 1.2."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _set(content: dict[str, Any], override: str) -> None:
    keys, equals, value = override.partition("=")
    if not equals or not keys.strip():
        raise ConfigError(f"override {override!r} cannot be read: write key=value or key.key=value")
    *path, last = keys.strip().split(".")
    place = content
    for key in path:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise ConfigError(f"override {override!r} cannot be applied: {key} holds a value, not keys")
    place[last] = yaml.load(value, _Yaml)


def _one_sentence(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    if isinstance(ours := first.get("ctx", {}).get("error"), ConfigError):
        return ours
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model: Any = Recipe
        for part in first["loc"][:-1]:
            model = model.model_fields[str(part)].annotation if hasattr(model, "model_fields") else model
            model = next((a for a in getattr(model, "__args__", ()) if hasattr(a, "model_fields")), model)
        return UnknownNameError(f"key of {where}", place, getattr(model, "model_fields", Recipe.model_fields))
    if first["type"] == "missing":
        return ConfigError(f"{where} has no {place}: add it")
    message = first["msg"][0].lower() + first["msg"][1:]
    return ConfigError(f"{where} has {place}={first['input']!r}: {message}")
