"""Membership: does the model still treat the forget set as seen, compared with text that no model has seen?

The value of one document is {"forget": score} or {"holdout": score}, lower for more familiar text, so a memorised
forget set has AUC 0 and PrivLeak −1; the ideal PrivLeak is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..metrics import bootstrap, means, membership
from ..metrics.document import METRICS, Given, Reading
from .retrain_reference import Reference, load_reference
from .sources import fetch
from .suite import Metric, Request, Source
from .tofu_leaves import AUTHOR, prompt

__all__ = ["PrivLeak", "TofuPrivLeak"]

Sided = Mapping[str, float]


def _auc(values: Sequence[Sided]) -> float:
    return membership.auc(*_sides(values))


def _auc_stderr(values: Sequence[Sided], clusters: Sequence[str], scale: float = 1.0) -> float:
    forget, holdout = _sides(values)
    if not forget or not holdout:
        return float("nan")
    ours = np.array(["forget" in value for value in values])
    counts = bootstrap.document_draws(clusters, ["forget" if own else "holdout" for own in ours])
    replicates = bootstrap.weighted_auc(forget, holdout, counts[:, ours], counts[:, ~ours])
    return bootstrap.standard_error(replicates) / scale


def _familiarity(values: Sequence[Sided]) -> float:
    forget, holdout = _sides(values)
    return membership.familiarity(means.mean(forget), means.mean(holdout))


def _familiarity_stderr(values: Sequence[Sided], clusters: Sequence[str]) -> float:
    forget, holdout = _sides(values)
    if not forget or not holdout:
        return float("nan")
    ours = np.array(["forget" in value for value in values])
    counts = bootstrap.document_draws(clusters, ["forget" if own else "holdout" for own in ours])
    sides = (bootstrap.weighted_mean(forget, counts[:, ours]), bootstrap.weighted_mean(holdout, counts[:, ~ours]))
    return bootstrap.standard_error(membership.familiarity(*sides))


def _privleak(values: Sequence[Sided], retrain_auc: float) -> float:
    return membership.privleak(_auc(values), retrain_auc)


def _sides(values: Sequence[Sided]) -> tuple[list[float], list[float]]:
    return [v["forget"] for v in values if "forget" in v], [v["holdout"] for v in values if "holdout" in v]


def _metrics(retrain_auc: float | None) -> tuple[Metric, ...]:
    """Return PrivLeak, if the retrain model's AUC is known, familiarity, and the AUC of four membership scores."""
    aucs = tuple(
        Metric(name, _auc, True, "less_knowledge", "report", 0.0, _auc_stderr)
        for name in ("auc_min40", "auc_loss", "auc_zlib", "auc_minkpp")
    )
    holds = (
        Metric("familiarity", _familiarity, False, "more_knowledge", "holds", 0.0, _familiarity_stderr),
        Metric("familiarity_loss", _familiarity, False, "more_knowledge", "report", 0.0, _familiarity_stderr),
    )
    if retrain_auc is None:
        return (*holds, *aucs)
    leak = partial(_privleak, retrain_auc=retrain_auc)
    stderr = partial(_auc_stderr, scale=retrain_auc)
    return (Metric("privleak", leak, True, "less_knowledge", "privacy", -1.0, stderr), *holds, *aucs)


_SCORES = {
    "familiarity": "min40",
    "familiarity_loss": "loss",
    "privleak": "min40",
    "auc_min40": "min40",
    "auc_loss": "loss",
    "auc_zlib": "zlib",
    "auc_minkpp": "minkpp",
}
"""Registered per-document metric whose ranks each leaf metric compares."""

GIVES: frozenset[Given] = frozenset({"tokens", "spread"})


def _score(metrics: Sequence[Metric], side: str, reading: Reading) -> dict[str, Any]:
    """Return {side: score} for each metric; None for texts of fewer than three tokens."""
    if METRICS["min40"](reading) is None:
        return {metric.name: None for metric in metrics}
    return {metric.name: {side: METRICS[_SCORES[metric.name]](reading)} for metric in metrics}


@dataclass(frozen=True, slots=True)
class PrivLeak:
    """Membership of passages as in MUSE, on the column "text" of privleak/forget and privleak/holdout.

    Every token after the first is scored; a passage beyond the model's context is scored on its first window.

    Attributes:
        retrain_auc: Min-40 % AUC of the retrain model, or None when it is unknown.
    """

    retrain_auc: float | None
    name: str = "privleak"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """PrivLeak, when the retrain model's AUC is known, and the AUC of four membership scores."""
        return _metrics(self.retrain_auc)

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of privleak/forget, then those of privleak/holdout."""
        return [
            {"cluster": f"{side}-{i}", **row, "side": side}
            for side in ("forget", "holdout")
            for i, row in enumerate(fetch(source, "privleak", side, text=str))
        ]

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the log-probability of every token."""
        return [Request("token_scores", "", {"text": doc["text"], "stats": True})]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the side that the passage belongs to."""
        return str(doc["side"])

    @property
    def gives(self) -> frozenset[Given]:
        """The tokens of the passage and their spread."""
        return GIVES

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the tokens of the passage."""
        return Reading.scored(doc["text"], answers[0])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Return {side: score} for each membership score; None for passages of fewer than three tokens."""
        return _score(self.metrics, doc["side"], self.reading(doc, answers))


@dataclass(frozen=True, slots=True)
class TofuPrivLeak:
    """Membership of answers given their questions: TOFU's forget authors against authors outside the training data.

    The holdout authors are on the hub but not in every mirror, so this leaf is in no group. PrivLeak itself needs the
    retrain model's AUC, which a reference file contains if the retrain model was measured on this leaf.

    Attributes:
        suite: name of the suite, which the reference must match.
        version: version of the suite, which the reference must match.
        forget: configuration of the forget questions.
        holdout: configuration of the holdout questions.
        reference: file with the retrain model's measurements; None for the one that $RUB_REFERENCE names.
    """

    suite: str
    version: str
    forget: str
    holdout: str
    reference: str | None = None
    name: str = "privleak"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """PrivLeak, when the retrain model's AUC is known, and the AUC of four membership scores."""
        reference = self._reference()
        return _metrics(reference.auc_min40 if reference else None)

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of the two configurations."""
        return [
            {"cluster": f"{side}-{i // AUTHOR}", **row, "side": side}
            for side, config in (("forget", self.forget), ("holdout", self.holdout))
            for i, row in enumerate(fetch(source, config, "train", question=str, answer=str))
        ]

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the log-probability of every token of the answer and of EOS."""
        options = {"text": doc["answer"], "eos": True, "stats": True, "chat": doc["question"]}
        return [Request("token_scores", prompt(doc["question"]), options)]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the side that the question belongs to."""
        return str(doc["side"])

    @property
    def gives(self) -> frozenset[Given]:
        """The tokens of the answer and their spread."""
        return GIVES

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the tokens of the answer."""
        return Reading.scored(doc["answer"], answers[0])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Return {side: score} for each membership score; None for answers of fewer than three tokens."""
        return _score(self.metrics, doc["side"], self.reading(doc, answers))

    def against(self, reference: str) -> TofuPrivLeak:
        """Return this leaf with another reference file."""
        return replace(self, reference=reference)

    def refuse(self, fingerprint: str) -> None:
        """Refuse to measure the retrain model against itself.

        Raises:
            DataError: the fingerprint equals that of the reference.
        """
        if reference := self._reference():
            reference.refuse(fingerprint)

    def _reference(self) -> Reference | None:
        return load_reference(self.suite, self.version, self.reference)
