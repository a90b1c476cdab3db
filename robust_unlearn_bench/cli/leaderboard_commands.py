"""rub leaderboard …: the commands in the order in which help lists them."""

from __future__ import annotations

import typer

from . import leaderboard_attack_commands as found
from . import leaderboard_board_commands as boards
from . import leaderboard_record_commands as records

__all__ = ["leaderboard_app", "mount"]

leaderboard_app = typer.Typer(
    name="leaderboard", help="Records, scores and the page. To submit a model, see `rub submit`.", no_args_is_help=True
)

COMMANDS = (
    *(records.validate, records.add, records.intake, records.anchor, records.replay, records.quarantine),
    *(boards.rescore, boards.compare, boards.table, boards.export, boards.build, boards.serve, boards.schema),
)
for command in COMMANDS:
    leaderboard_app.command()(command)
leaderboard_app.add_typer(found.found_app)


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    from .gate_commands import gate_app

    app.add_typer(leaderboard_app)
    app.add_typer(gate_app)
