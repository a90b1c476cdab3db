"""Small grids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.sweep_grid import load_grid

SMALL = {"suites": ["nano_books"], "recipes": ["nano_books/npo-adam"], "seeds": [0, 1], "attacks": ["none"]}


@pytest.fixture
def grid(tmp_path: Path) -> Callable[..., list[Cell]]:
    """Load a grid of two cells, with changes."""

    def load(**changes: Any) -> list[Cell]:
        path = tmp_path / "grid.yaml"
        path.write_text(yaml.safe_dump({**SMALL, **changes}))
        return load_grid(path)

    return load
