"""Recipes are strict, and every published one is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from robust_unlearn_bench.errors import ConfigError, UnknownNameError
from robust_unlearn_bench.unlearn import load_recipe, recipe_files

GOOD = "objective: {name: npo}\noptimizer: {name: adam, lr: 1e-5}\nsteps: 10\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "r.yaml").write_text(GOOD)
    return tmp_path / "r.yaml"


def test_numbers_as_people_write_them(path: Path) -> None:
    assert load_recipe(path).optimizer.lr == 1e-5
    assert load_recipe(path, ["optimizer.lr=2E-4"]).optimizer.lr == 2e-4
    assert load_recipe(path, ["optimizer.lr=1"]).optimizer.lr == 1.0


def test_overrides_apply_in_order_and_make_keys(path: Path) -> None:
    recipe = load_recipe(path, ["select.rule=best_retain", "checkpoint_every=5", "seed=3", "seed=4", "train=[a, b]"])
    assert (recipe.select.rule, recipe.seed, recipe.train) == ("best_retain", 4, ["a", "b"])


def test_digest_is_of_what_changes_weights(path: Path) -> None:
    plain = load_recipe(path)
    assert load_recipe(path, ["tuning.trials=9", "source=paper"]).digest == plain.digest
    assert load_recipe(path, ["seed=1"]).digest != plain.digest


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ("objectiv.name=npo", UnknownNameError, "'objectiv': did you mean 'objective'"),
        ("select.rul=last", UnknownNameError, "'select.rul'.*rule"),
        ("lora.ranks=4", UnknownNameError, "'lora.ranks'.*rank"),
        ("objective.name=npoo", UnknownNameError, "unknown objective 'npoo': did you mean 'npo'"),
        ("objective.bta=1", UnknownNameError, "unknown key of objective npo 'bta': did you mean 'beta'"),
        ("optimizer.name=adan", UnknownNameError, "did you mean 'adam'"),
        ("retain.name=nl", UnknownNameError, "unknown retain loss 'nl'"),
        ("steps=0", ConfigError, "steps=0: input should be greater than or equal to 1"),
        ("steps=ten", ConfigError, "steps='ten'"),
        ("epochs=1", ConfigError, "steps is 10 and epochs is 1.0: give exactly one"),
        ("optimizer.lr=-1", ConfigError, "lr=-1.0: give a number above 0"),
        ("optimizer=adam", ConfigError, r"optimizer 'adam' cannot be read: write optimizer: \{name: …\}"),
        ("select.rule=best_retain", ConfigError, "set checkpoint_every"),
        ("train=['(']", ConfigError, "not a regular expression"),
        ("precision=fp16", ConfigError, "precision='fp16'.*'bf16_kahan'"),
        ("steps", ConfigError, "write key=value"),
        ("steps.x=1", ConfigError, "steps holds a value"),
    ],
)
def test_one_sentence(path: Path, override: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_recipe(path, [override])


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe 'nano_books/npo-adm'"):
        load_recipe("nano_books/npo-adm")
    (tmp_path / "a.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="not a mapping"):
        load_recipe(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_recipe(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("steps: 3\nobjective: {name: npo}")
    with pytest.raises(ConfigError, match="has no optimizer: add it"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", recipe_files())
def test_published_recipe_is_valid_and_says_where_it_comes_from(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.suite == name.split("/")[0]
    assert recipe.source
    objective, _, optimizer = name.split("/")[1].partition("-")
    assert recipe.objective.name == objective
    assert recipe.optimizer.name == optimizer.partition("-")[0]
