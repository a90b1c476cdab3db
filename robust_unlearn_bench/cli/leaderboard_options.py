"""Options shared by the commands of `rub leaderboard`, and the folder that they work on."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..leaderboard.store import Store

__all__ = ["Json", "Least", "Root", "Tier", "open_store"]

Root = Annotated[Path | None, typer.Option("--root", help="Leaderboard folder; default: this installation's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


class Tier(str, Enum):
    """How far a row was checked."""

    self_reported = "self_reported"
    recomputed = "recomputed"
    replayed = "replayed"


Least = Annotated[Tier, typer.Option(help="Lowest tier to rank.")]


def open_store(root: Path | None, *, new: bool = False) -> Store:
    """Open the leaderboard folder that --root names, or this installation's.

    Raises:
        ConfigError: the folder does not exist, and `new` is false.
    """
    from ..errors import ConfigError
    from ..leaderboard.store import Store
    from ..paths import leaderboard_dir

    if root is not None and not new and not root.is_dir():
        raise ConfigError(f"--root {root} is not a folder; `rub leaderboard anchor` creates one")
    return Store(root or leaderboard_dir())
