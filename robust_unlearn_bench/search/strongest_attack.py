"""A search from end to end: the models, the space of their suite, and the folder that holds everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError
from ..leaderboard.record.attack_record import Trial
from .attack_bench import AttackBench
from .space import Space
from .study import Limits, run_trials

__all__ = ["search"]


def search(
    bench: AttackBench,
    out: Path,
    limits: Limits,
    *,
    seed: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[Trial]:
    """Try attacks on a model until a limit is reached; see `study.run_trials`, and `report.report` for the record.

    Args:
        bench: the models.
        out: folder of the search; may hold an earlier part of it.
        limits: where to end.
        seed: seed of the sampler.
        progress: callback that receives (trials done, trials in all, strongest so far).

    Returns:
        Every trial, in the order in which they were proposed.

    Raises:
        ConfigError: the folder takes no files or holds another search, or target and retrain model are the same.
        RubError: a model cannot be measured before any attack.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the search cannot be kept in {out} ({error.strerror}): choose another --out") from error
    prints = {role: bench.untouched(role).fingerprint or bench.models[role] for role in bench.models}
    if prints["target"] == prints["retrain"]:
        raise ConfigError("target and retrain are the same weights: leakage needs two different models")
    identity: dict[str, str] = {"suite": bench.suite.name, "suite_version": bench.suite.version}
    identity |= {str(role): found for role, found in prints.items()}
    return run_trials(bench, Space.of(bench.suite), out, limits, seed=seed, identity=identity, progress=progress)
