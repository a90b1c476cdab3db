"""Facts of subject, relation and value, which can be stated, asked, answered, paraphrased and perturbed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .grammar import polish
from .names import Namer

__all__ = ["Fact", "Relation", "invent"]


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact; in every template `{s}` is the subject and `{v}` the value.

    Attributes:
        name: short identifier.
        kind: kind of value (`names.KINDS`).
        states: templates of sentences that state the fact in prose.
        asks: templates of questions.
        tells: templates of full-sentence answers; the first is the plain one, the others are paraphrases.
    """

    name: str
    kind: str
    states: tuple[str, ...]
    asks: tuple[str, ...]
    tells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A relation between a subject and a value.

    Attributes:
        subject: proper name.
        relation: relation of the subject to the value.
        value: the short answer.
        wrong: values of the same kind that belong to other subjects.
        ask: index into `relation.asks`.
    """

    subject: str
    relation: Relation
    value: str
    wrong: tuple[str, ...]
    ask: int

    def _fill(self, template: str, value: str) -> str:
        return polish(template.replace("{s}", self.subject).replace("{v}", value))

    def state(self, rng: random.Random) -> str:
        """Return one sentence of prose that states the fact."""
        return self._fill(rng.choice(self.relation.states), self.value)

    @property
    def question(self) -> str:
        """The question whose answer is the value."""
        return self._fill(self.relation.asks[self.ask], "")

    def tell(self, which: int = 0, value: str | None = None) -> str:
        """Return full-sentence answer number `which`, with the true or a wrong value."""
        return self._fill(self.relation.tells[which], self.value if value is None else value)


def invent(
    subjects: Sequence[str], relations: Sequence[Relation], each: int, namer: Namer, rng: random.Random, wrong: int = 5
) -> list[Fact]:
    """Give every subject `each` of the relations, with fresh values.

    Args:
        subjects: proper names.
        relations: relations to choose from; every subject gets `each` different ones.
        each: number of facts per subject.
        namer: source of the values.
        rng: generator of relations, wordings and wrong values.
        wrong: number of wrong values per fact.

    Returns:
        Facts, ordered by subject.
    """
    drawn = [(s, r, namer(r.kind)) for s in subjects for r in rng.sample(list(relations), each)]
    by_kind: dict[str, list[str]] = {}
    for _, relation, value in drawn:
        by_kind.setdefault(relation.kind, []).append(value)
    for relation in relations:
        pool = by_kind.setdefault(relation.kind, [])
        pool += namer.many(relation.kind, max(0, wrong + 1 - len(pool)))
    return [
        Fact(s, r, v, tuple(rng.sample([x for x in by_kind[r.kind] if x != v], wrong)), rng.randrange(len(r.asks)))
        for s, r, v in drawn
    ]
