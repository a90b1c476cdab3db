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
    """What the cache held of one attack."""

    report: dict[str, Any]
    answers: list[Any]


class Recall:
    """The cache of one model, as the attack session uses it.

    Nothing is cached where hooks run in the model's forward pass: answers then depend on what no key can hold.

    Args:
        lm: an lm-eval model.
        fingerprint: of its weights before any attack, or None where they are not in this process.
    """

    def __init__(self, lm: Any, fingerprint: str | None) -> None:
        hooked = fingerprint is not None and has_hooks(lm.model)
        if hooked:
            log.info("the model has forward hooks: its answers are neither taken from the cache nor kept in it")
        self._cache = answer_cache(fingerprint) if fingerprint and not hooked else None
        self._setting = setting(lm) if self._cache else ""
        self._attacks = AttackKeys()

    def find(self, instances: Sequence[Any]) -> Recalled | None:
        """Report and answers of the attack that all instances share, or None when any answer is missing."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return None
        try:
            found = self._cache.get(self._keys(instances))
        except RubError:  # a text is missing; the attack, which now has to be carried out, says so
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
        """Write an attack's report and answers; a full disk costs the cache, not the run."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return
        try:
            self._cache.put(self._keys(instances), [report, *answers])
        except (OSError, sqlite3.Error) as error:
            log.warning("answers could not be cached in %s (%s); the run goes on without", self._cache.path, error)

    def _keys(self, instances: Sequence[Any]) -> list[str]:
        attack = self._attacks.of(instances[0].rub.plan)
        report = request_key(self._setting, attack, "report", sorted({instance.rub.kind for instance in instances}))
        return [report, *(request_key(self._setting, attack, i.rub.kind, i.args) for i in instances)]


def _samples(instance: Any) -> bool:
    """Whether lm-eval was asked to sample, so that an answer is not repeatable."""
    arguments = instance.args
    return len(arguments) > 1 and isinstance(arguments[1], dict) and bool(arguments[1].get("do_sample"))
