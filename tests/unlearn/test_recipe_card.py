"""Cards beside the recipes are those that the generator writes."""

from __future__ import annotations

import pytest

from robust_unlearn_bench.paths import baselines_dir
from robust_unlearn_bench.unlearn import load_recipe, recipe_files
from robust_unlearn_bench.unlearn.recipe_card import recipe_card


@pytest.mark.parametrize("name", recipe_files())
def test_card_is_in_sync(name: str) -> None:
    path = baselines_dir() / f"{name}.md"
    assert path.is_file(), "run python -m robust_unlearn_bench.unlearn.recipe_card"
    assert path.read_text(encoding="utf-8") == recipe_card(name, load_recipe(name))


def test_no_card_without_a_recipe() -> None:
    cards = {p.relative_to(baselines_dir()).with_suffix("").as_posix() for p in baselines_dir().glob("*/*.md")}
    assert cards == set(recipe_files())


def test_what_a_reader_finds() -> None:
    card = recipe_card("muse_books/npo-hybrid", load_recipe("muse_books/npo-hybrid"))
    for fact in ("first and zeroth order in turn", "lr_zo 1e-05", "3 forwards and 1 backwards", "16 bytes per parameter",
                 "every 200 steps", "rub unlearn muse_books/npo-hybrid --model muse-bench/MUSE-Books_target",
                 "| muse_books_knowmem_retain | none | 0.548 | paper |"):  # fmt: skip
        assert fact in card
