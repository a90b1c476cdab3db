"""What two rows have in common, and what only looks so; the cheats are in `test_cheaters.py`."""

from __future__ import annotations

import dataclasses

import numpy as np
from simulated_records import World

from robust_unlearn_bench.leaderboard.scoring.likeness import alike


def test_probabilities_near_zero_are_no_copies_of_each_other(world: World, make_levels) -> None:
    """Two models that never saw a text both give its answers probabilities of about .0005."""
    one, other = (world.entry(name, make_levels([0.3] * 5, [0.8] * 5)) for name in ("one", "other"))
    rng = np.random.default_rng(0)
    for entry in (one, other):
        items = entry.items["nano_books_verbmem"]
        key = next(iter(items.scores))
        column = tuple(float(x) for x in rng.exponential(5e-4, len(items)))
        entry.items["nano_books_verbmem"] = dataclasses.replace(items, scores={**items.scores, key: column})
    assert not [likeness for likeness in alike(one, [other]) if "columns" in likeness.what]
