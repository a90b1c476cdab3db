"""Comparison of a model with its two controls on the same tasks and attacks.

The target (the model before unlearning) shows how much can leak. The retrain model (which never saw the forget text)
shows how much an attack teaches any model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .suites import SUITES

if TYPE_CHECKING:
    from .leaderboard import Board, Row

__all__ = ["evaluate_with_controls", "leakage_rows", "nano_controls"]


def evaluate_with_controls(
    model: str, target: str, retrain: str, out: Path, evaluate: Callable[[str, Path], Any]
) -> tuple[Board, Row]:
    """Evaluate the two controls and the model, and score all three.

    Args:
        model: folder or hub name of the candidate.
        target: folder or hub name of the model before unlearning.
        retrain: folder or hub name of the model that never saw the forget text.
        out: output folder, with results in `target/`, `retrain/` and `model/`, and records in `records/`.
        evaluate: function of (model, folder) that writes lm-eval's results and samples of the model to the folder.

    Returns:
        The board, and the candidate's row.

    Raises:
        RecordError: the tasks belong to no suite, or the controls have the same weights.
    """
    from .leaderboard import record_from_results, score

    entries = {}
    kinds: dict[str, Any] = {"target": "target", "retrain": "retrain", "model": "unlearned"}
    for name, source in (("target", target), ("retrain", retrain), ("model", model)):
        evaluate(source, out / name)
        shown = name if name != "model" else Path(model).name
        built = record_from_results(out / name, model=source, name=shown, kind=kinds[name])
        built.entry.save(out / "records" / name)
        entries[name] = built.entry
    board = score([entries["model"]], entries["target"], entries["retrain"])
    return board, next(row for row in board.rows if row.entry.id == entries["model"].id)


def leakage_rows(row: Row) -> list[dict[str, str]]:
    """Return table rows of every forget metric under every attack, for the model and its controls, with the leakage.

    Leakage is 0 if the model performs like the retrain model under the same attack, 1 if it performs like the target
    without attack, and "–" if the two controls cannot be distinguished.
    """

    def show(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    return [
        {
            "attack": cell.cell.attack,
            "task": cell.cell.task,
            "metric": cell.cell.metric,
            "model": show(cell.value),
            "target, unattacked": show(cell.target),
            "retrain, attacked": show(cell.retrain),
            "leakage": show(cell.leakage.value) if cell.identifiable else "–",
            "95 %": f"{show(cell.leakage.low)} to {show(cell.leakage.high)}" if cell.identifiable else "",
        }
        for cell in row.forgetting
    ]


def nano_controls(
    tasks: Sequence[str], progress: Callable[[int, int, str], None] = lambda done, total, what: None
) -> tuple[str, str]:
    """Return target and retrain model of the tasks' embedded suite; train them if they are not in the cache.

    Raises:
        ConfigError: the tasks belong to no embedded suite.
    """
    suite = next((name for name in SUITES if SUITES[name].embedded and all(t.startswith(name) for t in tasks)), None)
    if suite is None:
        raise ConfigError(
            f"--controls needs --target MODEL and --retrain MODEL for {', '.join(tasks)}: only the embedded nano suites "
            "come with their own"
        )
    from .nano.pretrain import train

    return str(train(suite, "target", progress=progress)), str(train(suite, "retrain", progress=progress))
