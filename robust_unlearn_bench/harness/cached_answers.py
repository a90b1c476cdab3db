"""The answers and the report of one attack, written to and read from the cache together."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import RubError
from .answer_cache import answer_cache, request_key
from .answer_key import AttackKeys, has_hooks, setting

__all__ = ["Recall", "Recalled"]

log = logging.getLogger("robust_unlearn_bench")


class Recalled(NamedTuple):
    """Report and answers of one attack, found in the cache."""

    report: dict[str, Any]
    answers: list[Any]


class Recall:
    """Answer cache of one model, as the attack session uses it.

    Nothing is cached if the model has forward hooks, because answers then depend on code that a key cannot identify.

    Args:
        lm: lm-eval model.
        fingerprint: fingerprint of the weights before any attack, or None if they are not in this process.
    """

    def __init__(self, lm: Any, fingerprint: str | None) -> None:
        hooked = fingerprint is not None and has_hooks(lm.model)
        if hooked:
            log.info("the model has forward hooks: its answers are neither taken from the cache nor kept in it")
        self._cache = answer_cache(fingerprint) if fingerprint and not hooked else None
        self._setting = setting(lm) if self._cache else ""
        self._attacks = AttackKeys()

    def find(self, instances: Sequence[Any]) -> Recalled | None:
        """Return the report and answers of the attack that all instances share, or None if any answer is missing."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return None
        try:
            found = self._cache.get(self._keys(instances))
        except RubError:  # a text is missing, which the attack reports when it is carried out
            return None
        if found is None:
            return None
        answers = [
            tuple(answer) if instance.rub.kind == "loglikelihood" else answer
            for instance, answer in zip(instances, found[1:], strict=True)
        ]
        log.info("attack %s: %d answers found in the cache", instances[0].rub.plan.name, len(answers))
        return Recalled(found[0], answers)

    def keep(self, instances: Sequence[Any], report: dict[str, Any], answers: list[Any]) -> None:
        """Write an attack's report and answers; if that fails (a full disk), the run continues without the cache."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return
        try:
            self._cache.put(self._keys(instances), [report, *answers])
        except (OSError, sqlite3.Error) as error:
            log.warning("answers could not be cached in %s (%s); the run continues uncached", self._cache.path, error)

    def _keys(self, instances: Sequence[Any]) -> list[str]:
        attack = self._attacks.of(instances[0].rub.plan)
        report = request_key(self._setting, attack, "report", sorted({instance.rub.kind for instance in instances}))
        return [report, *(request_key(self._setting, attack, i.rub.kind, i.args) for i in instances)]


def _samples(instance: Any) -> bool:
    """Return whether lm-eval samples the answer, which is then not repeatable."""
    arguments = instance.args
    return len(arguments) > 1 and isinstance(arguments[1], dict) and bool(arguments[1].get("do_sample"))
