"""One attack on one suite's data: the tag of a task's requests, and the report of the attack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..attacks import AttackContext, AttackSpec, parse
from ..attacks.relearn.split import Side
from ..errors import DataError
from ..models.snapshot import Keep, check_keep
from ..suites import SUITES, Corpora, Leaf, Suite

__all__ = ["Plan", "plan_attack"]


@dataclass(slots=True)
class Plan:
    """An attack spec, the suite whose data it uses, and the report once the attack has been carried out.

    Attributes:
        spec: the resolved attack.
        suite: suite whose forget and retain text the attack uses, or None.
        data_dir: local mirror of the suite's data, or None for the default.
        snapshot: place where the original weights are kept during the attack.
        report: diagnostics, data hashes, seconds and model fingerprint, filled in by the session.
    """

    spec: AttackSpec
    suite: Suite | None
    data_dir: str | None = None
    snapshot: Keep = "cpu"
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """Identity of the attack: plans with equal keys put the same weights under the same attack."""
        if self.spec.is_none:
            return ("none",)
        suite = (self.suite.name, self.suite.version, self.data_dir or "") if self.suite else ()
        return (self.spec.name, self.spec.digest, *suite)

    @property
    def name(self) -> str:
        """Name for display: `relearn50`, followed by a digest if parameters differ from the suite's own."""
        if self.spec == parse(self.spec.label, self._defaults):
            return self.spec.label
        return f"{self.spec.label}@{self.spec.digest}"

    @property
    def _defaults(self) -> Mapping[str, Mapping[str, Any]]:
        return self.suite.attack_defaults if self.suite else {}

    @property
    def remedies(self) -> str:
        """Advice on the two cheapest ways to reduce the attack's memory."""
        if self.spec.trains:
            return (
                "end other programs that hold memory, or make it plan with less than is free (RUB_DEVICE_MEMORY=20GB), "
                "which moves weights and states to CPU memory and changes no digest"
            )
        return "load the weights in bf16 (dtype=bfloat16), or keep the snapshot on disk (RUB_SNAPSHOT=disk)"

    def corpora(self) -> Corpora | None:
        """Return the forget and retain text of the suite, or None without a suite."""
        return self.suite.corpora(self.suite.source(self.data_dir)) if self.suite else None

    def context(self, tokenizer: Any, window: int, progress: Callable[[int, int, str], None]) -> AttackContext:
        """Return everything that the attack may use besides the model."""
        from ..suites.general import general_corpus

        return AttackContext(tokenizer, window, self.corpora(), general_corpus(), progress)

    def scored(self, leaf: Leaf, docs: Sequence[dict[str, Any]]) -> Callable[[Mapping[str, Any]], bool]:
        """Choose the documents of a leaf that are scored: all, unless the attack trains on half of the forget text.

        In that case only documents about the other half and text that no model has seen are scored, and the numbers
        of documents are entered in the report. Leaves that measure utility are always scored in full.

        Args:
            leaf: leaf of the suite.
            docs: documents of the leaf.

        Returns:
            Function that returns whether a document is scored.

        Raises:
            DataError: no document can be traced to the held-out half.
        """
        steps = [step for step in self.spec.steps if step.splits]
        corpora = self.corpora() if steps and all(metric.role != "utility" for metric in leaf.metrics) else None
        if corpora is None:
            return lambda doc: True
        splits = [step.halves(corpora.forget) for step in steps]

        def side(doc: Mapping[str, Any]) -> Side:
            sides = {split.side(doc) for split in splits}
            return next(word for word in ("shown", "untraced", "held_out") if word in sides)

        def unseen(doc: Mapping[str, Any]) -> bool:
            return doc.get("side") == "holdout"

        counts = Counter[str](side(doc) for doc in docs if not unseen(doc))
        self.report["documents"] = {word: counts[word] for word in ("shown", "held_out", "untraced")}
        if not counts["held_out"]:
            raise DataError(
                f"attack {self.name} trains on half of the forget text, and of the {len(docs)} documents of "
                f"{self.suite.name if self.suite else ''} {leaf.name} none can be traced to the other half "
                f"({counts['untraced']} to neither): leave this task out, or give its rows the forget text's 'cluster'"
            )
        return lambda doc: unseen(doc) or side(doc) == "held_out"


def plan_attack(
    attack: str | Mapping[str, Any], suite: str | None, data_dir: str | None = None, snapshot: str = "cpu"
) -> Plan:
    """Plan an attack as written in a task YAML, with the suite's own default parameters.

    Raises:
        UnknownNameError: there is no such suite, attack, parameter or place for a snapshot.
        ConfigError: the attack cannot be read.
    """
    chosen = SUITES[suite] if suite else None
    spec = parse(attack, chosen.attack_defaults if chosen else None)
    return Plan(spec, chosen, data_dir, check_keep(snapshot))
