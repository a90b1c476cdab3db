"""What a reader finds on the card of a recipe."""

from __future__ import annotations

from robust_unlearn_bench.unlearn import load_recipe
from robust_unlearn_bench.unlearn.recipe_card import recipe_card


def test_what_a_reader_finds() -> None:
    card = recipe_card("muse_books/npo-hybrid", load_recipe("muse_books/npo-hybrid"))
    for fact in ("first and zeroth order in turn", "lr_zo 1e-05", "3 forwards and 1 backwards", "16 bytes per parameter",
                 "every 200 steps", "rub unlearn muse_books/npo-hybrid --model muse-bench/MUSE-Books_target",
                 "| muse_books_knowmem_retain | none | 0.548 | paper |"):  # fmt: skip
        assert fact in card
