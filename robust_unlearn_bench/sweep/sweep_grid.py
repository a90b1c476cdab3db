"""Grids: a YAML file that names suites × recipes × parameters × seeds × attacks; unknown keys are errors.

    suites: [nano_books]
    recipes:
      - nano_books/npo-adam
      - recipe: nano_books/npo-hybrid        # with parameters of its own
        parameters:
          - {optimizer.lr_fo: 1e-4, optimizer.lr_zo: 1e-5}
          - {optimizer.lr_fo: 2e-4, optimizer.lr_zo: 2e-5}
    parameters:
      optimizer.lr: [1e-4, 2e-4]
    seeds: [0, 1]
    attacks:
      - [none, gptq4, relearn20]             # three attacks on one unlearned model: one cell
    controls: true

Parameters are a mapping from key to values, which are combined, or a list of settings, which are taken as they stand.
An entry of `attacks` is one attack or a list of several; each entry makes a cell, which unlearns for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import ConfigError, UnknownNameError
from ..suites import SUITES
from .cell import Cell, Role

__all__ = ["Grid", "load_grid"]


def _settings(value: Any) -> list[dict[str, Any]]:
    """Return the settings that `parameters` stands for.

    Raises:
        ConfigError: it is neither a mapping from key to values nor a list of mappings.
    """
    if isinstance(value, list) and all(isinstance(setting, dict) for setting in value):
        return value
    if not isinstance(value, dict):
        raise ConfigError(f"parameters {value!r} cannot be read: write key: [values], or a list of mappings")
    for key, values in value.items():
        if not isinstance(values, list):
            raise ConfigError(f"parameters has {key}={values!r}: write a list of values")
    return [dict(zip(value, values, strict=True)) for values in product(*value.values())]


def _with_name(value: Any) -> Any:
    return {"recipe": value} if isinstance(value, str) else value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RecipeAxis(_Strict):
    """A recipe, with parameters in place of the grid's where given."""

    recipe: str
    parameters: Annotated[list[dict[str, Any]], BeforeValidator(_settings)] | None = None


class Resources(_Strict):
    """What one cell occupies."""

    cpus: Annotated[int, Field(ge=1)] = 1
    gpus: Annotated[int, Field(ge=0)] = 0


class Grid(_Strict):
    """Content of a grid file.

    Attributes:
        suites: names of suites.
        recipes: names or paths of recipes.
        parameters: changes to the recipes, as `rub unlearn --set` takes them.
        seeds: seeds of the recipes.
        attacks: attacks, or lists of attacks that share a cell.
        controls: evaluate target and retrain model of each suite as well, under the same attacks.
        targets: suite → folder or hub name of the model before unlearning; embedded suites come with their own.
        retrains: suite → folder or hub name of the model that never saw the forget text; for `controls`.
        dtype: dtype of the weights in the evaluation.
        limit: number of documents of each task, or null for all; a cell with a limit cannot become a record.
        batch_size: batch size of the evaluation.
        keep_models: keep every unlearned model.
        resources: CPU cores and GPUs that one cell occupies.
    """

    suites: list[str]
    recipes: list[Annotated[RecipeAxis, BeforeValidator(_with_name)]]
    parameters: Annotated[list[dict[str, Any]], BeforeValidator(_settings)] = [{}]
    seeds: list[int] = Field(default_factory=lambda: [0])
    attacks: list[Annotated[list[str], BeforeValidator(_several)]] = Field(default_factory=lambda: [["none"]])
    controls: bool = False
    targets: dict[str, str] = Field(default_factory=dict)
    retrains: dict[str, str] = Field(default_factory=dict)
    dtype: str = "float32"
    limit: Annotated[int, Field(ge=1)] | None = None
    batch_size: int | str = 1
    keep_models: bool = False
    resources: Resources = Resources()

    def cells(self, where: str) -> list[Cell]:
        """Resolve every combination, in the order in which the grid names them, controls first.

        Args:
            where: name of the grid, for messages.

        Raises:
            UnknownNameError: there is no such suite, recipe, key or attack.
            ConfigError: a value is wrong, there are no cells, or two are the same.
        """
        found: dict[str, Cell] = {}
        for cell in self._combinations(where):
            if cell.key in found:
                raise ConfigError(
                    f"{where} has the same cell twice ({found[cell.key].title}, and {cell.title}): remove one"
                )
            found[cell.key] = cell
        if not found:
            empty = next(
                (n for n in ("suites", "recipes", "parameters", "seeds", "attacks") if not getattr(self, n)), ""
            )
            raise ConfigError(f"{where} has no cells{f', because {empty} is empty' if empty else ''}: add values")
        return list(found.values())

    def _combinations(self, where: str) -> Iterator[Cell]:
        from ..attacks import parse

        for suite, attacks in product(self.suites, self.attacks):
            chosen = SUITES[suite]
            if not attacks:
                raise ConfigError(f"{where} has an empty list of attacks: write [none]")
            common: dict[str, Any] = {
                "suite": suite,
                "suite_version": str(chosen.version),
                "attacks": tuple(attacks),
                "attack_configs": tuple(parse(attack, chosen.attack_defaults).config for attack in attacks),
                "dtype": self.dtype,
                "limit": self.limit,
                "batch_size": self.batch_size,
                "keep_model": self.keep_models,
                "cpus": self.resources.cpus,
                "gpus": self.resources.gpus,
            }
            controls: tuple[Role, ...] = ("target", "retrain") if self.controls else ()
            for role in controls:
                model = self._model(suite, role, where)
                yield Cell(role=role, model=model, recipe=role, settings={}, seed=None, method=None, **common)
            for axis in self.recipes:
                settings = self.parameters if axis.parameters is None else axis.parameters
                for setting, seed in product(settings, self.seeds):
                    yield Cell(
                        role="unlearned",
                        model=self._model(suite, "target", where),
                        recipe=axis.recipe,
                        settings=setting,
                        seed=seed,
                        method=_method(axis.recipe, suite, setting, seed, where),
                        **common,
                    )

    def _model(self, suite: str, role: Role, where: str) -> str | None:
        key = "retrains" if role == "retrain" else "targets"
        model: str | None = getattr(self, key).get(suite)
        if model is None and not SUITES[suite].embedded:
            raise ConfigError(f"{where} names no {role} model of {suite}: add {key}: {{{suite}: MODEL}}")
        return str(Path(model).resolve()) if model and Path(model).is_dir() else model


def load_grid(path: Path) -> list[Cell]:
    """Read a grid file and resolve its cells.

    Raises:
        UnknownNameError: there is no such key, suite, recipe, parameter or attack.
        ConfigError: there is no such file, a value is wrong, there are no cells, or two are the same.
    """
    from ..unlearn.recipe import read_mapping

    if not path.is_file():
        raise ConfigError(f"there is no grid file {path}: give the path of a YAML file")
    where = f"grid {path}"
    try:
        grid = Grid.model_validate(read_mapping(path, "grid"))
    except ValidationError as error:
        raise _one_sentence(error, where) from error
    return grid.cells(where)


def _method(recipe: str, suite: str, setting: Mapping[str, Any], seed: int, where: str) -> dict[str, Any]:
    from ..unlearn.recipe import load_recipe

    for key, axis in (("seed", "seeds"), ("suite", "suites")):
        if key in setting:
            raise ConfigError(f"{where} has {key} among the parameters: write {axis}: [...] instead")
    changes = [f"{key}={json.dumps(value)}" for key, value in {"suite": suite, **setting, "seed": seed}.items()]
    return load_recipe(recipe, changes).method


def _one_sentence(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    if isinstance(ours := first.get("ctx", {}).get("error"), ConfigError):
        return ours
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model: Any = {"recipes": RecipeAxis, "resources": Resources}.get(str(first["loc"][0]), Grid)
        return UnknownNameError(f"key of {where}", str(first["loc"][-1]), model.model_fields)
    if first["type"] == "missing":
        return ConfigError(f"{where} has no {place}: add it")
    return ConfigError(f"{where} has {place}={first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}")
