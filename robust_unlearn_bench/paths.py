"""Locations of the packaged data folders, their counterparts in a source checkout, and the cache."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from .errors import DataError

__all__ = ["baselines_dir", "cache_dir", "leaderboard_dir", "tasks_dir"]

_PACKAGE = Path(__file__).resolve().parent


def cache_dir() -> Path:
    """Return the folder of trained nano models and cached responses: $RUB_CACHE, else ~/.cache/robust_unlearn_bench."""
    if chosen := os.environ.get("RUB_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "robust_unlearn_bench"


def installed_tasks_dir() -> Path | None:
    """Return the folder inside lm-eval with this package's task YAML, or None if there is none."""
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "tasks" / "robust_unlearn_bench"
    return folder if folder.is_dir() else None


def source_dir(name: str) -> Path | None:
    """Return a data folder beside the package in a source checkout, or None in an installed package."""
    folder = _PACKAGE.parent / name
    return folder if folder.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file() else None


def _first(name: str, *candidates: Path | None) -> Path:
    for folder in candidates:
        if folder is not None and folder.is_dir():
            return folder
    raise DataError(
        f"the {name}/ folder of robust-unlearn-bench is missing from this installation; reinstall the package"
    )


def tasks_dir() -> Path:
    """Return the folder of the lm-eval task YAML (usable as `lm_eval --include_path`)."""
    return _first("tasks", source_dir("tasks"), installed_tasks_dir())


def baselines_dir() -> Path:
    """Return the folder of the recipes and their cards."""
    return _first("baselines", source_dir("baselines"), _PACKAGE / "_baselines")


def leaderboard_dir() -> Path:
    """Return the folder of the published records and anchors."""
    return _first("leaderboard", source_dir("leaderboard"), _PACKAGE / "_leaderboard")
