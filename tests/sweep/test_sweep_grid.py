from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.sweep_grid import load_grid

Load = Callable[..., list[Cell]]


def test_a_grid_is_the_product_of_its_axes(grid: Load) -> None:
    cells = grid(
        suites=["nano_books", "nano_news"],
        recipes=["nano_books/npo-adam", "nano_books/npo-signadam"],
        parameters={"steps": [2, 4, 6], "optimizer.lr": [1e-4, 2e-4]},
        attacks=["none", ["none", "gptq4"]],
    )
    assert len(cells) == len({cell.key for cell in cells}) == 2 * 2 * 3 * 2 * 2 * 2
    wanted = {"steps": 4, "optimizer.lr": 2e-4}
    found = [cell for cell in cells if cell.settings == wanted and cell.suite == "nano_news" and cell.seed == 1]
    assert [(cell.recipe, cell.attacks) for cell in found] == [
        (recipe, attacks)
        for attacks in (("none",), ("none", "gptq4"))
        for recipe in ("nano_books/npo-adam", "nano_books/npo-signadam")
    ]
    method = found[0].method
    assert method is not None
    assert (method["suite"], method["steps"], method["optimizer"]["lr"], method["seed"]) == ("nano_news", 4, 2e-4, 1)


def test_a_recipe_may_have_parameters_of_its_own_and_settings_that_move_together(grid: Load) -> None:
    together = [{"optimizer.lr_fo": 1e-4, "optimizer.lr_zo": 1e-5}, {"optimizer.lr_fo": 2e-4, "optimizer.lr_zo": 2e-5}]
    hybrid = {"recipe": "nano_books/npo-hybrid", "parameters": together}
    cells = grid(recipes=["nano_books/npo-adam", hybrid], parameters={"steps": [2]}, seeds=[0])
    rates = [(c.method or {})["optimizer"] for c in cells if c.recipe == hybrid["recipe"]]
    assert [(rate["lr_fo"], rate["lr_zo"]) for rate in rates] == [(1e-4, 1e-5), (2e-4, 2e-5)]
    assert [cell.settings for cell in cells if cell.recipe == "nano_books/npo-adam"] == [{"steps": 2}]


def test_controls_are_cells_without_recipe(grid: Load) -> None:
    target, retrain, *rest = grid(controls=True)
    assert [(c.role, c.method, c.seed, c.model) for c in (target, retrain)] == [
        ("target", None, None, None),
        ("retrain", None, None, None),
    ]
    assert {cell.role for cell in rest} == {"unlearned"}


def test_the_key_depends_on_what_numbers_depend_on(grid: Load) -> None:
    base = {cell.key for cell in grid()}
    assert {cell.key for cell in grid()} == base
    for same in ({"batch_size": 4}, {"keep_models": True}, {"resources": {"cpus": 2}}):
        assert {cell.key for cell in grid(**same)} == base, same
    changes: list[dict[str, Any]] = [
        {"limit": 3},
        {"dtype": "bfloat16"},
        {"attacks": ["gptq4"]},
        {"attacks": ["gptq4(group_size=16)"]},
        {"targets": {"nano_books": "org/name"}},
        {"parameters": {"steps": [3]}},
        {"seeds": [2, 3]},
        {"suites": ["nano_news"]},
    ]
    keys = [base, *({cell.key for cell in grid(**change)} for change in changes)]
    assert len(set.union(*keys)) == sum(map(len, keys))


def test_a_cell_survives_json(grid: Load) -> None:
    import json

    (cell, _) = grid(attacks=[["none", "relearn10"]])
    again = Cell.from_json(json.loads(json.dumps(cell.to_json())))
    assert again == cell
    assert again.key == cell.key


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipies": []}, r"unknown key of grid .*grid\.yaml 'recipies': did you mean 'recipes'"),
        ({"recipes": [{"recipe": "nano_books/npo-adam", "sed": 1}]}, r"unknown key of grid .* 'sed': known"),
        ({"recipes": ["nano_books/npo-adm"]}, r"unknown recipe 'nano_books/npo-adm': did you mean"),
        ({"suites": ["nano_boks"]}, r"unknown suite 'nano_boks': did you mean 'nano_books'"),
        ({"attacks": ["gptk4"]}, r"unknown attack"),
        ({"parameters": {"optimizer.rate": [1]}}, r"unknown key of optimizer adam 'rate'"),
        ({"parameters": {"seed": [1]}}, r"seed among the parameters: write seeds"),
        ({"parameters": {"steps": 3}}, r"steps=3: write a list of values"),
        ({"parameters": 3}, r"parameters 3 cannot be read"),
        ({"seeds": [0, 1, 0]}, r"the same cell twice \(.*seed=0 none, and .*seed=0 none\): remove one"),
        ({"seeds": []}, r"has no cells, because seeds is empty: add values"),
        ({"attacks": [[]]}, r"empty list of attacks"),
        ({"limit": 0}, r"has limit=0: input should be greater than or equal to 1"),
        ({"seeds": ["a"]}, r"has seeds\.0='a': input should be a valid integer"),
        ({"suites": ["muse_books"]}, r"names no target model of muse_books: add targets: \{muse_books: MODEL\}"),
    ],
)
def test_bad_grids_are_one_sentence(grid: Load, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        grid(**changes)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_grids(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no grid file"):
        load_grid(tmp_path / "absent.yaml")
    (tmp_path / "grid.yaml").write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match=r"grid .*grid\.yaml is not a mapping"):
        load_grid(tmp_path / "grid.yaml")
    (tmp_path / "grid.yaml").write_text("suites: [\n")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_grid(tmp_path / "grid.yaml")
    (tmp_path / "grid.yaml").write_text("suites: [nano_books]\n")
    with pytest.raises(ConfigError, match="has no recipes: add it"):
        load_grid(tmp_path / "grid.yaml")


def test_the_smoke_grid_is_no_recipe_and_has_four_cells(root: Path) -> None:
    from robust_unlearn_bench.unlearn.recipe import recipe_files

    assert len(load_grid(root / "baselines" / "grids" / "nano_smoke.yaml")) == 4
    assert not any(name.startswith("grids/") for name in recipe_files())
