"""Recipes: one YAML file is one way to unlearn, complete and strict.

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

__all__ = ["Expected", "Lora", "Recipe", "Selection", "Tuning", "load_recipe", "recipe_files"]

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Selection(_Strict):
    """Which checkpoint becomes the model.

    Attributes:
        rule: "last", or "best_retain": the highest probability of the retain completions.
        forget_at_most: with best_retain, only checkpoints that give the forget completions at most this probability
            take part; when there are none, the one that gives them the lowest.
    """

    rule: Literal["last", "best_retain"] = "last"
    forget_at_most: Annotated[float, Field(gt=0, le=1)] | None = None


class Lora(_Strict):
    """Train an adapter on all linear layers but the head, and merge it."""

    rank: Count = 16
    alpha: Count = 32


class Tuning(_Strict):
    """How the hyper-parameters were found.

    Attributes:
        trials: configurations that were run.
        space: hyper-parameter → values that were tried.
        selected_on: what the choice looked at.
    """

    trials: Annotated[int, Field(ge=0)] | None = None
    space: dict[str, list[Any]] = Field(default_factory=dict)
    selected_on: str | None = None


class Expected(_Strict):
    """A number that the recipe should give, and who says so.

    Attributes:
        metric: name of the leaf and metric.
        attack: under which attack.
        value: fraction.
        source: "paper" or "measured".
    """

    metric: str
    attack: str = "none"
    value: float
    source: Literal["paper", "measured"]


class Recipe(_Strict):
    """How to unlearn.

    Attributes:
        suite: whose forget and retain text is used, unless the caller brings files.
        model: hub name of the model that the recipe is for, for readers.
        objective: forget loss: {name: …, its hyper-parameters}.
        forget_weight: its factor.
        retain: retain loss: {name: …, its hyper-parameters}.
        retain_weight: its factor (λ); 0 for none.
        optimizer: {name: …, its hyper-parameters}.
        steps: optimizer steps; give these or `epochs`.
        epochs: passes over the forget set, rounded up to whole steps.
        batch_size: forget sequences per step, and as many retain sequences.
        schedule: of every learning rate.
        warmup: fraction of the steps.
        clip: largest gradient norm, or null.
        precision: of weights and arithmetic.
        window: longest sequence in tokens.
        seed: of data order, directions and draws.
        train: regular expressions; only parameters whose whole name one of them matches are trained; [] for all.
        lora: train an adapter instead.
        micro_batch: largest number of sequences in one pass.
        gradient_checkpointing: recompute activations instead of storing them.
        checkpoint_every: steps between checkpoints that can be selected or resumed from.
        select: which checkpoint becomes the model.
        stop_at: stop once the forget loss of a step's batch is at or below this (gradient ascent has no floor).
        tuning: how the hyper-parameters were found.
        expected: numbers to compare with.
        source: where the recipe comes from.
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
            raise ConfigError("lora and train exclude each other: an adapter is trained, or parameters by name")
        for pattern in self.train:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(f"train has {pattern!r}, which is no regular expression: {error}") from error
        return self

    @property
    def method(self) -> dict[str, Any]:
        """Every key that the resulting weights depend on, with the values of all parameters."""
        return self.model_dump(mode="json", exclude={"tuning", "expected", "source", "model"})

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of `method`."""
        return hashlib.sha256(json.dumps(self.method, sort_keys=True).encode()).hexdigest()[:12]


RECIPES = "robust_unlearn_bench.recipes"
"""Entry-point group of packages that hold recipes: `<package>/<suite>/<recipe>.yaml`."""


def recipe_files() -> dict[str, Path]:
    """Name → file of every recipe, of this package and of others: "nano_books/npo-adam", …; no name is taken twice."""
    files: dict[str, Path] = {}
    for root in (baselines_dir(), *_other_folders()):
        for path in sorted(root.glob("*/*.yaml")):
            files.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    return dict(sorted(files.items()))


def _other_folders() -> Iterator[Path]:
    for plugin in entry_points(group=RECIPES):
        spec = find_spec(plugin.value)
        yield from map(Path, (spec.submodule_search_locations or ()) if spec else ())


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        recipe: name or path.
        overrides: "key=value" or "key.key=value", value in YAML; applied in order.

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
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except yaml.YAMLError as error:
        raise ConfigError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"recipe {path} is not a mapping: write key: value lines")
    for override in overrides:
        _set(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise _one_sentence(error, f"recipe {recipe}") from error


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
