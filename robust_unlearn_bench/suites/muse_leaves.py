"""MUSE's measurements of memorisation, and extraction strength, on rows in MUSE's own schema.

    config/split                                   columns
    verbmem/forget                                 prompt, gt
    knowmem/{forget,retain}_qa, …_qa_icl           question, answer

A "cluster" column names the unit that a bootstrap resamples; without one, each row is its own cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..metrics.document import METRICS, Given, Reading
from ..metrics.means import mean
from .sources import fetch
from .suite import Metric, Request, Source

__all__ = ["AnswerProb", "Extraction", "KnowMem", "VerbMem"]

STOPS = ("\n\n", "\nQuestion", "Question:")
"""Stop strings of a knowledge answer, which ends before the first of them."""

Passages = Callable[[Source], list[dict[str, Any]]]
"""Function from a source to documents with "prompt", "gt" (the true continuation) and "cluster"."""


def _forget_passages(source: Source) -> list[dict[str, Any]]:
    """Return the rows of verbmem/forget."""
    rows = fetch(source, "verbmem", "forget", prompt=str, gt=str)
    return [{"cluster": f"forget-{i}", **row} for i, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class VerbMem:
    """Verbatim memorisation: does the model continue a forget passage word for word?

    Prompt: the passage, unchanged. Answer: at most 128 new tokens, no stop string. Reference: the true continuation,
    tokenised with the tokenizer's special tokens, cut to 128 ids, decoded. Score: ROUGE-L F1, no stemmer.

    Attributes:
        passages: function from a source to passages; by default the rows of verbmem/forget.
    """

    name: str = "verbmem"
    tokens: int = 128
    metrics: tuple[Metric, ...] = (Metric("rougeL_f1", mean, False, "more_knowledge", "forget"),)
    passages: Passages = _forget_passages

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the passages."""
        return self.passages(source)

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the continuation, and the reference cut by the model's own tokenizer."""
        return [
            Request("generate", doc["prompt"], {"max_new_tokens": self.tokens}),
            Request("token_cut", doc["gt"], {"tokens": self.tokens}),
        ]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true continuation."""
        return str(doc["gt"])

    @property
    def gives(self) -> frozenset[Given]:
        """Output: the model's continuation."""
        return frozenset({"output"})

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the model's continuation and the true one, cut to the same number of tokens."""
        written, true = answers
        return Reading(true["text"], output=written["text"])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute ROUGE-L F1 of the continuation."""
        return {"rougeL_f1": METRICS["rougeL_f1"](self.reading(doc, answers))}


@dataclass(frozen=True, slots=True)
class AnswerProb:
    """Likelihood of knowledge: how probable is the true answer to a question about the forget text?

    Prompt: `Question: …⏎Answer: ` alone, without in-context pairs. The true answer is scored under teacher forcing; the
    value is the geometric mean of the probabilities of its tokens.

    Attributes:
        suffix: suffix of the split: "" for the questions of `KnowMem`, "_paraphrased" for the same in other words.

    Source: the probability of TOFU (Maini et al., 2024), on MUSE's questions.
    Departs: MUSE itself measures generated answers only.
    """

    suffix: Literal["", "_paraphrased"] = ""
    metrics: tuple[Metric, ...] = (
        Metric("prob", mean, False, "more_knowledge", "holds"),
        Metric("em", mean, False, "more_knowledge", "report"),
    )

    @property
    def name(self) -> str:
        """`answer_prob`, or `answer_prob_paraphrased`."""
        return f"answer_prob{self.suffix}"

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of knowmem/forget_qa{suffix}."""
        rows = fetch(source, "knowmem", f"forget_qa{self.suffix}", question=str, answer=str)
        return [{"cluster": f"forget-{i}", **row} for i, row in enumerate(rows)]

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the log-probability of every token of the true answer."""
        return [Request("token_scores", f"Question: {doc['question']}\nAnswer: ", {"text": doc["answer"]})]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true answer."""
        return str(doc["answer"])

    @property
    def gives(self) -> frozenset[Given]:
        """Tokens of the true answer."""
        return frozenset({"tokens"})

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the tokens of the true answer."""
        return Reading.scored(doc["answer"], answers[0])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute probability and exact memorisation of the answer."""
        reading = self.reading(doc, answers)
        return {metric.name: METRICS[metric.name](reading) for metric in self.metrics}


@dataclass(frozen=True, slots=True)
class KnowMem:
    """Knowledge memorisation: does the model answer questions about the forget (or the retain) text?

    Prompt: the in-context pairs in dataset order, each `Question: …⏎Answer: …⏎⏎`, then `Question: …⏎Answer: ` with its
    trailing space. Answer: at most 32 new tokens, cut at the first of `STOPS`. Score: ROUGE-L F1, no stemmer.
    `rougeL_f1_dedup` omits questions that occur earlier in the split or among the in-context pairs.
    """

    side: Literal["forget", "retain"]

    @property
    def name(self) -> str:
        """`knowmem_forget` or `knowmem_retain`."""
        return f"knowmem_{self.side}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Knowledge of the forget text should go, knowledge of the retain text should stay."""
        if self.side == "forget":
            return (
                Metric("rougeL_f1", mean, False, "more_knowledge", "forget"),
                Metric("rougeL_f1_dedup", mean, False, "more_knowledge", "report"),
            )
        return (
            Metric("rougeL_f1", mean, True, "more_utility", "utility"),
            Metric("rougeL_f1_dedup", mean, True, "more_utility", "report"),
        )

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the rows of knowmem/{side}_qa, with prompts built from knowmem/{side}_qa_icl."""
        shots = fetch(source, "knowmem", f"{self.side}_qa_icl", question=str, answer=str)
        rows = fetch(source, "knowmem", f"{self.side}_qa", question=str, answer=str)
        context = "".join(f"Question: {shot['question']}\nAnswer: {shot['answer']}\n\n" for shot in shots)
        seen = {shot["question"] for shot in shots}
        docs = []
        for i, row in enumerate(rows):
            docs.append(
                {
                    "cluster": f"{self.side}-{i}",
                    **row,
                    "prompt": f"{context}Question: {row['question']}\nAnswer: ",
                    "duplicate": row["question"] in seen,
                }
            )
            seen.add(row["question"])
        return docs

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the answer."""
        return [Request("generate", doc["prompt"], {"max_new_tokens": 32, "until": list(STOPS)})]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true answer."""
        return str(doc["answer"])

    @property
    def gives(self) -> frozenset[Given]:
        """Output: the model's answer."""
        return frozenset({"output"})

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the model's answer and the true one."""
        return Reading(doc["answer"], output=answers[0]["text"])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute ROUGE-L F1 of the answer."""
        value = METRICS["rougeL_f1"](self.reading(doc, answers))
        return {"rougeL_f1": value, "rougeL_f1_dedup": None if doc["duplicate"] else value}


@dataclass(frozen=True, slots=True)
class Extraction:
    """Extraction: how much of a forget passage can be extracted by prompting with its beginning?

    One teacher-forced pass over the true continuation of the VerbMem prompt.

    Attributes:
        passages: function from a source to passages; by default the rows of verbmem/forget.
    """

    name: str = "extraction"
    metrics: tuple[Metric, ...] = (
        Metric("es", mean, False, "more_knowledge", "forget"),
        Metric("em", mean, False, "more_knowledge", "report"),
        Metric("es_ou", mean, False, "more_knowledge", "report"),
    )
    passages: Passages = _forget_passages

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the passages."""
        return self.passages(source)

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Request the greedy match of every token of the continuation."""
        return [Request("token_scores", doc["prompt"], {"text": doc["gt"]})]

    def target(self, doc: dict[str, Any]) -> str:
        """Return the true continuation."""
        return str(doc["gt"])

    @property
    def gives(self) -> frozenset[Given]:
        """Tokens of the true continuation."""
        return frozenset({"tokens"})

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading:
        """Return the tokens of the true continuation."""
        return Reading.scored(doc["gt"], answers[0])

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Compute extraction strength, exact memorisation, and extraction strength as in open-unlearning."""
        reading = self.reading(doc, answers)
        return {metric.name: METRICS[metric.name](reading) for metric in self.metrics}
