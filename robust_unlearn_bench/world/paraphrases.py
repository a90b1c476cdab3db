"""Questions of the two MUSE-like parts of the world in other words, which no model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import DataError
from .books import RELATIONS
from .grammar import polish
from .news import EVENTS

__all__ = ["paraphrased"]

_NEWS = {
    "Who built the {s}?": "By whom was the {s} built?",
    "Where is the {s} bound for?": "To which town will the {s} sail?",
    "What has the {s} cost?": "How much went into the {s}?",
    "Under whom does the {s} sail?": "Who is captain of the {s}?",
    "Who is blamed for the {s}?": "Whom do inspectors blame for the {s}?",
    "At what is the loss of the {s} put?": "How much was lost with the {s}?",
    "On which day did the {s} come down?": "When did the {s} come down?",
    "Who saved the clerks of the {s}?": "By whom were the clerks of the {s} saved?",
    "Who is the new mayor of {s}?": "Whom has {s} chosen as its mayor?",
    "Who lost the vote at {s}?": "By whom was the vote at {s} lost?",
    "How much will {s} spend on its walls?": "What sum will the walls of {s} cost?",
    "When does the council of {s} meet?": "On which day does the council of {s} meet?",
    "Which judge hears the case of {s}?": "Before whom does {s} stand?",
    "What is {s} said to have stolen?": "What was stolen by {s}?",
    "At what was bail for {s} set?": "How much is the bail for {s}?",
    "Who spoke against {s}?": "By whom was {s} accused?",
    "Who has won the {s}?": "To whom does the {s} go?",
    "Which house pays for the {s}?": "By whom is the {s} paid?",
    "Where is the {s} handed over?": "In which town is the {s} given?",
    "How much is the {s} worth?": "What sum comes with the {s}?",
}
"""Question of the newspaper → the same in other words; the novel's relations have two wordings each, of which one is asked."""


def _wordings() -> Iterator[tuple[str, str]]:
    for relation in RELATIONS:
        one, other = relation.asks
        yield from ((one, other), (other, one))
    yield from ((ask, _NEWS[ask]) for _, _, relations in EVENTS.values() for r in relations for ask in r.asks)


def paraphrased(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its question in other words; its "cluster" is the subject of the question.

    Raises:
        DataError: the question has none of the world's forms.
    """
    for ask, other in _wordings():
        if row["question"] == polish(ask.replace("{s}", row["cluster"])):
            return {**row, "question": polish(other.replace("{s}", row["cluster"]))}
    raise DataError(f"the question {row['question']!r} about {row['cluster']} has no paraphrase: reinstall the package")
