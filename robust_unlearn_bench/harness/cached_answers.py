"""The answers and the report of one attack, written to and read from the cache together."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import __version__
from .answer_cache import answer_cache, request_key

__all__ = ["Recall", "Recalled"]

log = logging.getLogger("robust_unlearn_bench")


class Recalled(NamedTuple):
    """What the cache held of one attack."""

    report: dict[str, Any]
    answers: list[Any]


class Recall:
    """The cache of one model, as the attack session uses it.

    Args:
        lm: an lm-eval model.
        fingerprint: of its weights before any attack, or None where they are not in this process.
    """

    def __init__(self, lm: Any, fingerprint: str | None) -> None:
        self._cache = answer_cache(fingerprint) if fingerprint else None
        self._setting = _setting(lm) if self._cache else ""

    def find(self, key: Sequence[str], instances: Sequence[Any]) -> Recalled | None:
        """Report and answers of an attack, or None when any answer is missing."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return None
        found = self._cache.get(self._keys(key, instances))
        if found is None:
            return None
        answers = [
            tuple(answer) if instance.rub.kind == "loglikelihood" else answer
            for instance, answer in zip(instances, found[1:], strict=True)
        ]
        log.info("attack %s: %d answers found in the cache", instances[0].rub.plan.name, len(answers))
        return Recalled(found[0], answers)

    def keep(self, key: Sequence[str], instances: Sequence[Any], report: dict[str, Any], answers: list[Any]) -> None:
        """Write an attack's report and answers; a full disk costs the cache, not the run."""
        if self._cache is None or any(_samples(instance) for instance in instances):
            return
        try:
            self._cache.put(self._keys(key, instances), [report, *answers])
        except (OSError, sqlite3.Error) as error:
            log.warning("answers could not be cached in %s (%s); the run goes on without", self._cache.path, error)

    def _keys(self, key: Sequence[str], instances: Sequence[Any]) -> list[str]:
        report = request_key(self._setting, key, "report", sorted({instance.rub.kind for instance in instances}))
        return [report, *(request_key(self._setting, key, i.rub.kind, i.args) for i in instances)]


def _setting(lm: Any) -> str:
    """Everything besides weights, attack and request that an answer depends on."""
    backend = getattr(lm.tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else json.dumps(lm.tokenizer.get_vocab(), sort_keys=True)
    parts = [
        __version__,
        vocabulary,
        lm.max_length,
        getattr(lm, "add_bos_token", None),
        lm.device,
        lm.world_size,
        lm.rank,
    ]
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def _samples(instance: Any) -> bool:
    """Whether lm-eval was asked to sample, so that an answer is not repeatable."""
    arguments = instance.args
    return len(arguments) > 1 and isinstance(arguments[1], dict) and bool(arguments[1].get("do_sample"))
