"""Errors that the package raises on purpose.

    RubError
    ├── ConfigError        a name, key or value given by the user is wrong (also a ValueError)
    │   └── UnknownNameError   no such attack, suite, recipe, …: the message suggests similar names
    ├── DataError          a dataset, mirror or corpus is missing or malformed
    ├── ModelError         the model cannot do what is asked of it (remote, quantised, NaN weights)
    ├── AttackError        an attack could not be carried out
    ├── TrainingError      a training run had to stop (non-finite loss, …)
    ├── RecordError        a leaderboard record or item file is not valid
    ├── MissingExtraError  a dependency is not installed (also an ImportError)
    └── PluginError        another distribution registers something that cannot be used

Each message is one sentence with the problem, its place and a remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AttackError",
    "ConfigError",
    "DataError",
    "MissingExtraError",
    "ModelError",
    "PluginError",
    "RecordError",
    "RubError",
    "TrainingError",
    "UnknownNameError",
]


class RubError(Exception):
    """Base of all errors raised on purpose by robust_unlearn_bench."""


class ConfigError(RubError, ValueError):
    """A name, key or value in a spec, recipe, option or YAML file is wrong."""


class UnknownNameError(ConfigError):
    """A name is not registered; the message suggests similar ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Build the message.

        Args:
            kind: kind of name in words ("attack", "recipe key", …).
            name: name that the user wrote.
            known: every valid name.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"known: {', '.join(names)}."
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class DataError(RubError):
    """A dataset, mirror or corpus is missing or malformed."""


class ModelError(RubError):
    """The model cannot do what is asked of it."""


class AttackError(RubError):
    """An attack could not be carried out."""


class TrainingError(RubError):
    """A training run had to stop."""


class RecordError(RubError):
    """A leaderboard record or item file is not valid."""


class PluginError(RubError):
    """Another distribution registers something that cannot be used; the message names the distribution."""


class MissingExtraError(RubError, ImportError):
    """A dependency that only some features need is not installed."""

    def __init__(self, package: str, extra: str | None, what: str) -> None:
        """Build the message.

        Args:
            package: package that could not be imported.
            extra: extra of this project that installs it, or None if every installation should have it.
            what: feature that needs it.
        """
        remedy = f"'robust-unlearn-bench[{extra}]'" if extra else package
        super().__init__(f"{what} needs {package}, which is not installed: pip install {remedy}")
