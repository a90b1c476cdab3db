"""What the commands of `rub leaderboard` share: options, and the folder they work on."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..leaderboard.store import Store

__all__ = ["Json", "Least", "Root", "Tier", "open_store"]

Root = Annotated[Path | None, typer.Option("--root", help="Leaderboard folder; default: this installation's.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


class Tier(str, Enum):
    """How far a row was checked."""

    self_reported = "self_reported"
    items_verified = "items_verified"
    replayed = "replayed"


Least = Annotated[Tier, typer.Option(help="The weakest tier that is ranked.")]


def open_store(root: Path | None, *, new: bool = False) -> Store:
    """The leaderboard folder that --root names, or this installation's.

    Raises:
        ConfigError: there is no such folder, unless it may be `new`.
    """
    from ..errors import ConfigError
    from ..leaderboard.store import Store
    from ..paths import leaderboard_dir

    if root is not None and not new and not root.is_dir():
        raise ConfigError(f"--root {root} is no folder; `rub leaderboard anchor` begins one with a control")
    return Store(root or leaderboard_dir())
