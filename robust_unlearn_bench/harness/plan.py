"""One attack on one suite's data: what the requests of a task are tagged with, and what the attack reported."""

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
    """An attack spec, the suite whose data it uses, and its report once carried out.

    Attributes:
        spec: the resolved attack.
        suite: whose forget and retain text it uses, or None.
        data_dir: local mirror of the suite's data, or None for the default.
        snapshot: where the weights are kept meanwhile.
        report: filled by the session: diagnostics, data hashes, seconds, model fingerprint.
    """

    spec: AttackSpec
    suite: Suite | None
    data_dir: str | None = None
    snapshot: Keep = "cpu"
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """Plans with equal keys put the same weights under the same attack."""
        if self.spec.is_none:
            return ("none",)
        suite = (self.suite.name, self.suite.version, self.data_dir or "") if self.suite else ()
        return (self.spec.name, self.spec.digest, *suite)

    @property
    def name(self) -> str:
        """The attack as a user reads it: `relearn50`, or with a digest where parameters are not the suite's own."""
        if self.spec == parse(self.spec.label, self._defaults):
            return self.spec.label
        return f"{self.spec.label}@{self.spec.digest}"

    @property
    def _defaults(self) -> Mapping[str, Mapping[str, Any]]:
        return self.suite.attack_defaults if self.suite else {}

    @property
    def remedies(self) -> str:
        """The two cheapest ways to make the attack need less memory, in words."""
        if self.spec.trains:
            return (
                "train one sequence at a time, with activations computed twice "
                "(parameters micro_batch=1,gradient_checkpointing=true), or with 8-bit states (optimizer=adam8bit)"
            )
        return "load the weights in bf16 (dtype=bfloat16), or keep the snapshot on disk (RUB_SNAPSHOT=disk)"

    def corpora(self) -> Corpora | None:
        """Forget and retain text of the suite, or None without a suite."""
        return self.suite.corpora(self.suite.source(self.data_dir)) if self.suite else None

    def context(self, tokenizer: Any, window: int, progress: Callable[[int, int, str], None]) -> AttackContext:
        """What the attack may use besides the model."""
        from ..suites.general import general_corpus

        return AttackContext(tokenizer, window, self.corpora(), general_corpus(), progress)

    def scored(self, leaf: Leaf, docs: Sequence[dict[str, Any]]) -> Callable[[Mapping[str, Any]], bool]:
        """Which documents of a leaf say anything under this attack: all, unless it trains on half of the forget text.

        Then they are those about the other half, and the text that no model has seen; how many they are is entered in
        the report. Leaves that measure utility stay whole.

        Args:
            leaf: of the suite.
            docs: its documents.

        Returns:
            Whether a document is scored.

        Raises:
            DataError: none of them can be traced to the half that is held out.
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
    """Read an attack as a task YAML writes it, with the suite's own default parameters.

    Raises:
        UnknownNameError: no such suite, attack, parameter or place for a snapshot.
        ConfigError: the attack cannot be read.
    """
    chosen = SUITES[suite] if suite else None
    spec = parse(attack, chosen.attack_defaults if chosen else None)
    return Plan(spec, chosen, data_dir, check_keep(snapshot))
