"""The command line `rub`. Commands are thin: they read options, call the package, print."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import RubError
from .progress import first_process

__all__ = ["app", "main"]

EXIT_CODES = "Exit codes: 0 done · 1 a check failed · 2 bad input (one sentence on stderr) · 130 interrupted."

app = typer.Typer(
    name="rub",
    help=f"Robustness of unlearned language models: evaluate, attack, unlearn, score.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"robust-unlearn-bench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _mount() -> None:
    """Attach the commands; each module imports torch and lm-eval only inside its functions."""
    from . import attack_commands as attacking
    from . import eval_commands as evaluating
    from . import inspect_commands as inspecting
    from . import leaderboard_commands as leaderboard
    from . import plan_commands as planning
    from . import score_commands as scoring
    from . import sweep_commands as sweeping
    from . import train_commands as training

    for module in (planning, evaluating, attacking, training, sweeping, scoring, inspecting):
        module.mount(app)
    leaderboard.mount(app)


_mount()


def main() -> None:
    """Run the command line; errors raised on purpose are printed as one sentence."""
    try:
        app()
    except RubError as error:
        if first_process():
            typer.echo(f"rub: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:  # not about a path that somebody has typed
            raise
        if first_process():
            typer.echo(f"rub: {str(error.filename)[:200]}: {error.strerror}; check the path", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("rub: interrupted; finished work is kept, run the same command again to continue", err=True)
        sys.exit(130)
